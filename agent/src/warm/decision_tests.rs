use super::*;

const TICK: u64 = 250_000_000;

/// A quarter of a second of a service that keeps one processor busy and has compiled what it needs.
fn steady(number: u64) -> Tick {
    Tick {
        at: number * TICK,
        app_cpu: TICK,
        jit_cpu: 0,
        vm_cpu: 1_000_000,
        hot: 40,
        cold: 0,
        native: 10,
        queue: 0,
        classes: 4000,
        hot_methods: 500,
        flags: 0,
    }
}

/// Ticks of a steady service, changed by `change`; what speaks against "warm" at the end.
fn reasons(change: impl Fn(&mut Tick)) -> Vec<Reason> {
    let mut detector = Detector::default();
    let mut verdict = None;
    for number in 1..=20 {
        let mut tick = steady(number);
        change(&mut tick);
        verdict = Some(detector.push(tick));
    }
    match verdict.unwrap() {
        Verdict::Warm(_) => Vec::new(),
        Verdict::NotYet(_, reasons) => reasons,
    }
}

#[test]
fn a_steady_service_is_warm_and_says_on_what_evidence() {
    let mut detector = Detector::default();
    let first = (1..=20).find_map(|number| match detector.push(steady(number)) {
        Verdict::Warm(evidence) => Some(evidence),
        Verdict::NotYet(..) => None,
    });
    let evidence = first.unwrap();
    assert_eq!(evidence.age, 4 * TICK, "a window of 0.75 s, and a tick that it begins with");
    assert_eq!((evidence.window, evidence.app_cpu, evidence.app_cpu_total), (3 * TICK, 3 * TICK, 4 * TICK));
    assert_eq!((evidence.verdict, evidence.hot, evidence.cold, evidence.queue), (WARM, 120, 0, 0));
}

#[test]
fn each_signal_alone_speaks_against_it() {
    assert_eq!(reasons(|_| {}), []);
    let last = |tick: &Tick| tick.at == 20 * TICK;
    assert_eq!(reasons(|tick| tick.queue = if last(tick) { 3 } else { 9 }), [Reason::Queue { shortest: 3 }]);
    assert_eq!(reasons(|tick| tick.queue = if last(tick) { 2 } else { 9 }), [], "the compilers keep up");
    assert!(matches!(reasons(|tick| tick.cold = 10)[..], [Reason::Cold { per_cent, .. }] if per_cent == 20.0));
    assert!(matches!(reasons(|tick| tick.jit_cpu = TICK / 2)[..], [Reason::Jit { .. }]));
    assert_eq!(reasons(|tick| tick.jit_cpu = TICK / 3), [], "they have a third of the application's CPU time to do");
    assert!(matches!(reasons(|tick| tick.classes += tick.at / TICK * 4)[..], [Reason::NewClasses { .. }]));
    assert!(matches!(
        reasons(|tick| tick.hot_methods += (tick.at / TICK * 30) as u32)[..],
        [Reason::NewMethods { .. }]
    ));
}

#[test]
fn without_work_there_is_no_verdict() {
    let idle = reasons(|tick| (tick.app_cpu, tick.hot) = (1_000_000, 0));
    assert!(idle.contains(&Reason::TooLittleWork { done: 19_000_000, wanted: WINDOW_AT_LEAST }), "{idle:?}");
    assert!(idle.contains(&Reason::LittleLoad { per_mille: 4 }), "{idle:?}");
    assert!(idle.contains(&Reason::FewSamples { samples: 0 }), "{idle:?}");
}

#[test]
fn a_few_samples_prove_little() {
    // 4 of 80: five per cent, and possibly twelve.
    let Share { per_cent, certain, possible } = cold(4, 80);
    assert!(per_cent == 5.0 && (12.0..12.5).contains(&possible), "{per_cent} {possible}");
    assert!((1.5..2.5).contains(&certain), "{certain}");
    assert!(cold(0, 80).possible < 5.0);
}

#[test]
fn windows_grow_with_age() {
    let mut detector = Detector::default();
    for number in 1..=400 {
        detector.push(steady(number));
    }
    // What happened at a hundred seconds of work is forgotten a fifteenth of them later.
    let mut disturbed = steady(401);
    disturbed.jit_cpu = 14 * TICK;
    let verdicts = [disturbed].into_iter().chain((402..).map(steady)).map(|tick| detector.push(tick));
    let until_warm = verdicts.take_while(|verdict| matches!(verdict, Verdict::NotYet(..))).count();
    assert!((25..=50).contains(&until_warm), "{until_warm} ticks");
    assert!(detector.ticks.len() < 300, "old ticks are dropped: {}", detector.ticks.len());
}

#[test]
fn one_that_goes_on_wants_windows_of_the_jvms_age() {
    let verdict = Evidence { age: 7 * TICK, app_cpu_total: 60 * TICK, ..Evidence::zeroed() };
    let mut detector = Detector::after(&verdict);
    let first = (1..).find_map(|number| match detector.push(steady(number)) {
        Verdict::Warm(evidence) => Some(evidence),
        Verdict::NotYet(..) => None,
    });
    let evidence = first.unwrap();
    assert_eq!(
        (evidence.app_cpu, evidence.app_cpu_total),
        (5 * TICK, 66 * TICK),
        "a fifteenth of all, and not three ticks"
    );
    assert_eq!(evidence.age, 13 * TICK);
    detector.forget();
    let Verdict::NotYet(evidence, reasons) = detector.push(steady(7)) else { panic!("a verdict on what is forgotten") };
    assert_eq!((evidence.app_cpu, evidence.app_cpu_total), (TICK, 67 * TICK));
    assert_eq!(reasons[0], Reason::TooLittleWork { done: TICK, wanted: 67 * TICK / 15 });
}

#[test]
fn without_a_symbol_table_the_compilers_are_judged_by_their_cpu_time() {
    assert_eq!(reasons(|tick| tick.queue = QUEUE_UNKNOWN), []);
    assert!(!reasons(|tick| (tick.queue, tick.jit_cpu) = (QUEUE_UNKNOWN, TICK / 5)).is_empty());
}

#[test]
fn a_full_code_cache_is_named_where_it_keeps_code_cold() {
    let full = |cold: u32| move |tick: &mut Tick| (tick.flags, tick.cold) = (TICK_COMPILERS_STOPPED, cold);
    let reasons_when_cold = reasons(full(20));
    assert_eq!(reasons_when_cold.last(), Some(&Reason::CompilersStopped));
    assert_eq!(reasons(full(0)), [], "nothing that is needed is missing");
    assert!(Reason::CompilersStopped.to_string().contains("raise -XX:ReservedCodeCacheSize"));
}

#[test]
fn reasons_are_sentences() {
    let cold = Reason::Cold { per_cent: 34.2, possible: 41.9 };
    assert_eq!(cold.to_string(), "34 % of the time in code that is not compiled for good (42 % possible)");
    let work = Reason::TooLittleWork { done: 100_000_000, wanted: 750_000_000 };
    assert_eq!(work.to_string(), "100.0ms of work seen, 750.0ms wanted");
    assert_eq!(Reason::Queue { shortest: 12 }.to_string(), "12 methods or more wait for a compiler");
}

#[test]
fn an_idle_jvm_fills_no_memory() {
    let mut detector = Detector::default();
    for number in 1..=100_000 {
        detector.push(Tick { app_cpu: 100_000, hot: 0, ..steady(number) });
    }
    assert!(detector.ticks.len() < 1000, "{} ticks", detector.ticks.len());
    assert_eq!(detector.total, 100_000 * 100_000);
}

#[test]
fn a_queue_that_was_short_once_is_remembered_in_joined_ticks() {
    let mut detector = Detector::default();
    let slow = |number, queue| Tick { app_cpu: 10_000_000, queue, ..steady(number) };
    let verdicts: Vec<Verdict> =
        (1..=200).map(|number| detector.push(slow(number, if number == 150 { 1 } else { 7 }))).collect();
    let Some(Verdict::NotYet(evidence, _)) = verdicts.last() else { panic!("a load of 4 % gets no verdict") };
    assert_eq!(evidence.queue, 1);
}
