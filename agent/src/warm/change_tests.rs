use super::*;
use crate::warm::decision::trace_tests::ticks;
use hotfork_abi::Plain;
use hotfork_abi::warm::NOT_PROVEN_WARM;

const SECOND: u64 = 1_000_000_000;
const TICK: u64 = SECOND / 4;

/// A service that was found warm after ten seconds of work.
fn image() -> Evidence {
    let work = 10 * SECOND;
    Evidence { verdict: WARM, age: work, app_cpu_total: work, classes: 4000, hot_methods: 500, ..Evidence::zeroed() }
}

/// A quarter of a second of it, all of that work, since then.
fn steady(number: u64) -> Tick {
    let (at, classes, hot_methods) = (number * TICK, 4000, 500);
    Tick { at, app_cpu: TICK, hot: 40, classes, hot_methods, ..Tick::zeroed() }
}

/// How it changed and when, and when an image is better and why; in ticks.
type Course = (Option<(u64, String)>, Option<(u64, String)>);

fn course(image: Evidence, ticks: impl Iterator<Item = Tick>) -> Course {
    let mut since = Since::new(image);
    let mut changed = None;
    for (number, tick) in (1..).zip(ticks) {
        match since.push(tick) {
            Seen::Nothing => {}
            Seen::Changed(changes) => assert!(changed.replace((number, words(&changes))).is_none(), "told once"),
            Seen::Better(evidence, why) => {
                assert_eq!(evidence.verdict, WARM);
                return (changed, Some((number, why)));
            }
        }
    }
    (changed, None)
}

fn changed_by(change: impl Fn(&mut Tick)) -> Course {
    let tick = |number| {
        let mut tick = steady(number);
        change(&mut tick);
        tick
    };
    course(image(), (1..=400).map(tick))
}

/// From this tick on.
fn from(number: u64) -> impl Fn(&Tick) -> bool {
    move |tick| tick.at >= number * TICK
}

#[test]
fn who_goes_on_as_before_has_not_changed() {
    assert_eq!(changed_by(|_| {}), (None, None));
    assert_eq!(changed_by(|tick| (tick.classes, tick.hot_methods) = (4130, 580)), (None, None), "a little");
    assert_eq!(changed_by(|tick| tick.app_cpu = 0), (None, None), "idle");
}

#[test]
fn new_classes_are_told_at_once_and_taken_when_it_is_warm() {
    let late = from(60);
    let (changed, better) = changed_by(|tick| tick.classes += if late(tick) { 312 } else { 0 });
    assert_eq!(changed, Some((60, "312 classes are new".into())));
    // A window of a fifteenth of the 25 seconds so far, and none of it before the change.
    assert_eq!(better, Some((68, "warm again; since the last image 312 classes are new".into())));
}

#[test]
fn new_methods_count_as_well() {
    let late = from(60);
    let (changed, better) = changed_by(|tick| tick.hot_methods += if late(tick) { 90 } else { 0 });
    assert_eq!(changed, Some((60, "90 methods are newly compiled for good".into())));
    assert_eq!(better.unwrap().1, "warm again; since the last image 90 methods are newly compiled for good");
}

#[test]
fn between_two_images_lies_as_much_work_as_before_the_first() {
    let (changed, better) = changed_by(|tick| tick.classes += 312);
    assert_eq!(changed.unwrap().0, 1);
    assert_eq!(better.unwrap().0, 40);
    let early = Evidence { app_cpu_total: SECOND, ..image() };
    let ticks = (1..).map(|number| Tick { classes: 4312, ..steady(number) });
    assert_eq!(course(early, ticks).1.unwrap().0, 20, "five seconds at least");
    let old = Evidence { app_cpu_total: 100_000 * SECOND, ..image() };
    let ticks = (1..).map(|number| Tick { classes: 6312, ..steady(number) });
    assert_eq!(course(old, ticks).1.unwrap().0, 2400, "ten minutes at most");
}

#[test]
fn cold_code_is_a_change_if_it_is_compiled_in_the_end() {
    let (begin, end) = (from(50), from(80));
    let cold = |tick: &mut Tick| (tick.hot, tick.cold) = if begin(tick) && !end(tick) { (28, 12) } else { (40, 0) };
    let (changed, better) = changed_by(cold);
    let (when, how) = changed.unwrap();
    assert!((51..70).contains(&when), "{when}");
    assert!(how.ends_with(" % of the time went into code that was not compiled for good"), "{how}");
    assert_eq!(better, None, "it was used once");

    let (_, better) = changed_by(|tick| {
        cold(tick);
        tick.hot_methods += if end(tick) { 13 } else { 0 };
    });
    let (when, why) = better.unwrap();
    assert!(when > 80, "{when}");
    assert!(why.starts_with("warm again; since the last image ") && why.contains(" % of the time "), "{why}");
}

#[test]
fn code_that_the_capture_dropped_is_not_in_the_image() {
    let (late, very_late) = (from(2), from(60));
    let again = |tick: &mut Tick| {
        tick.hot_methods = 420 + if very_late(tick) { 90 } else { 0 };
        assert!(late(tick) || tick.hot_methods == 420);
    };
    assert_eq!(changed_by(again).0, Some((60, "90 methods are newly compiled for good".into())));
}

#[test]
fn an_image_that_is_not_proven_warm_is_followed_by_one_that_is() {
    let unproven = Evidence { verdict: NOT_PROVEN_WARM, ..image() };
    let (changed, better) = course(unproven, (1..).map(steady));
    assert_eq!(changed, None, "it was no change");
    assert_eq!(better, Some((4, "warm; the image before was not proven warm".into())));
    let idle = (1..=400).map(|number| Tick { app_cpu: 0, hot: 0, ..steady(number) });
    assert_eq!(course(unproven, idle), (None, None));
}

/// What the detector found first in a recorded trace, and the ticks after it.
fn taken(trace: &str) -> (Evidence, Vec<Tick>) {
    let (mut detector, mut ticks) = (Detector::default(), ticks(trace));
    let image = ticks.find_map(|tick| match detector.push(tick) {
        Verdict::Warm(evidence) => Some(evidence),
        Verdict::NotYet(..) => None,
    });
    (image.unwrap(), ticks.collect())
}

#[test]
fn recorded_services_do_not_change_under_the_same_load() {
    for trace in [
        include_str!("traces/http-17.jsonl"),
        include_str!("traces/http-21.jsonl"),
        include_str!("traces/http-25.jsonl"),
    ] {
        let (image, rest) = taken(trace);
        assert!(rest.len() > 50);
        assert_eq!(course(image, rest.into_iter()), (None, None));
    }
}

/// An image of each service as it was two seconds after its start.
#[test]
fn recorded_services_outgrow_an_early_image() {
    for trace in [
        include_str!("traces/http-17.jsonl"),
        include_str!("traces/http-21.jsonl"),
        include_str!("traces/http-25.jsonl"),
    ] {
        let mut ticks = ticks(trace);
        let early = ticks.by_ref().take(8).last().unwrap();
        let image = |verdict| Evidence {
            verdict,
            age: early.at,
            app_cpu_total: 2 * SECOND,
            classes: early.classes,
            hot_methods: early.hot_methods,
            ..Evidence::zeroed()
        };
        let rest: Vec<Tick> = ticks.collect();
        let (changed, better) = course(image(WARM), rest.iter().copied());
        assert!(changed.unwrap().1.contains(" methods are newly compiled for good"));
        assert!(better.unwrap().1.starts_with("warm again; "));
        let (_, better) = course(image(NOT_PROVEN_WARM), rest.into_iter());
        assert!(better.is_some());
    }
}
