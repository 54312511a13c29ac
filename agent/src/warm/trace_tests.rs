//! Recorded traces (`traces/README.md` says how they were made), judged again.

use super::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Line {
    at_ns: u64,
    app_cpu_ns: u64,
    jit_cpu_ns: u64,
    jvm_cpu_ns: u64,
    hot: u32,
    cold: u32,
    native: u32,
    compile_queue: Option<u32>,
    classes: u64,
    hot_methods: u32,
    compilers_stopped: bool,
}

pub fn ticks(trace: &str) -> impl Iterator<Item = Tick> + '_ {
    trace.lines().map(|line| {
        let line: Line = serde_json::from_str(line).unwrap();
        Tick {
            at: line.at_ns,
            app_cpu: line.app_cpu_ns,
            jit_cpu: line.jit_cpu_ns,
            vm_cpu: line.jvm_cpu_ns,
            hot: line.hot,
            cold: line.cold,
            native: line.native,
            queue: line.compile_queue.unwrap_or(QUEUE_UNKNOWN),
            classes: line.classes,
            hot_methods: line.hot_methods,
            flags: if line.compilers_stopped { TICK_COMPILERS_STOPPED } else { 0 },
        }
    })
}

/// Seconds from the trace's beginning to the first verdict.
fn verdict(trace: &str) -> Option<f64> {
    let mut detector = Detector::default();
    ticks(trace).find_map(|tick| match detector.push(tick) {
        Verdict::Warm(evidence) => Some(evidence.age as f64 / 1e9),
        Verdict::NotYet(..) => None,
    })
}

/// The verdicts that were looked at when the rule was made: a rule that changes them is to be looked at again.
#[test]
fn verdicts_on_recorded_services() {
    let traces = [
        ("17", include_str!("traces/http-17.jsonl"), 11.8),
        ("21", include_str!("traces/http-21.jsonl"), 13.5),
        ("25", include_str!("traces/http-25.jsonl"), 11.05),
    ];
    for (jdk, trace, seen) in traces {
        let verdict = verdict(trace).unwrap_or(f64::INFINITY);
        assert!((verdict - seen).abs() < 0.3, "JDK {jdk}: verdict after {verdict:.2} s, not {seen}");
    }
}

/// Its compilers are at work for minutes, their queue is empty now and then. Latency was steady from 123 s on.
#[test]
fn a_large_service_that_compiles_for_long_is_not_waited_out() {
    let verdict = verdict(include_str!("traces/spring-17.jsonl")).unwrap_or(f64::INFINITY);
    assert!((verdict - 125.4).abs() < 1.5, "verdict after {verdict:.2} s");
}

#[test]
fn an_idle_service_is_never_warm() {
    assert_eq!(verdict(include_str!("traces/idle-25.jsonl")), None);
}
