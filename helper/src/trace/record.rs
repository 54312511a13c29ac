//! All ticks of a watch, as far as they are drawn. However long it lasts, it takes no more memory than a plot has room for.

use super::Line;

/// More than a plot has pixels; half as many are left when they are joined.
const SPANS_AT_MOST: usize = 1600;

/// One tick, or several that are drawn as one. Times in nanoseconds, since the detector began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Span {
    pub from: u64,
    pub to: u64,
    pub app_cpu: u64,
    pub jit_cpu: u64,
    /// The longest.
    pub queue: Option<u32>,
    pub new_hot_methods: u32,
    pub new_classes: u64,
    pub hot: u32,
    pub cold: u32,
}

#[derive(Debug, Default)]
pub struct Record {
    pub spans: Vec<Span>,
    /// When the JVM was found warm first.
    pub verdict: Option<u64>,
    /// Whether it was in the last tick.
    pub warm: bool,
    /// What spoke against it then.
    pub reasons: String,
    /// Methods and classes of the last tick.
    counts: Option<(u32, u64)>,
}

impl Record {
    pub fn add(&mut self, line: &Line) {
        // What there was before the first tick is not new in it.
        let (methods, classes) = self.counts.replace((line.hot_methods, line.classes)).unwrap_or((u32::MAX, u64::MAX));
        self.spans.push(Span {
            from: self.spans.last().map_or(0, |span| span.to),
            to: line.at_ns,
            app_cpu: line.app_cpu_ns,
            jit_cpu: line.jit_cpu_ns,
            queue: line.compile_queue,
            new_hot_methods: line.hot_methods.saturating_sub(methods),
            new_classes: line.classes.saturating_sub(classes),
            hot: line.hot,
            cold: line.cold,
        });
        if self.spans.len() > SPANS_AT_MOST {
            self.spans = self.spans.chunks(2).map(joined).collect();
        }
        self.warm = line.warm;
        self.reasons.clone_from(&line.reasons);
        if line.warm {
            self.verdict.get_or_insert(line.at_ns);
        }
    }
}

fn joined(spans: &[Span]) -> Span {
    let mut spans = spans.iter().copied();
    let first = spans.next().unwrap_or_default();
    spans.fold(first, |all, span| Span {
        from: all.from,
        to: span.to,
        app_cpu: all.app_cpu + span.app_cpu,
        jit_cpu: all.jit_cpu + span.jit_cpu,
        queue: all.queue.max(span.queue),
        new_hot_methods: all.new_hot_methods + span.new_hot_methods,
        new_classes: all.new_classes + span.new_classes,
        hot: all.hot + span.hot,
        cold: all.cold + span.cold,
    })
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// The tick of this number, a quarter of a second each, of a JVM that is warm from the tick `warm_from` on.
    pub fn line(number: u64, warm_from: u64) -> Line {
        let warm = number >= warm_from;
        Line {
            monotonic_ns: 0,
            at_ns: number * 250_000_000,
            app_cpu_ns: 200_000_000,
            jit_cpu_ns: if warm { 0 } else { 50_000_000 },
            jvm_cpu_ns: 0,
            hot: 40,
            cold: if warm { 0 } else { 20 },
            native: 0,
            compile_queue: Some(if warm { 0 } else { 17 }),
            classes: 4000 + number,
            hot_methods: 500 + 2 * number as u32,
            compilers_stopped: false,
            warm,
            reasons: if warm { String::new() } else { "17 & more wait; <cold>".into() },
            evidence: None,
        }
    }

    pub fn record(ticks: u64, warm_from: u64) -> Record {
        let mut record = Record::default();
        (1..=ticks).for_each(|number| record.add(&line(number, warm_from)));
        record
    }

    #[test]
    fn a_tick_has_what_is_new_in_it() {
        let record = record(3, 3);
        let news: Vec<_> = record.spans.iter().map(|span| (span.new_hot_methods, span.new_classes)).collect();
        assert_eq!(news, [(0, 0), (2, 1), (2, 1)], "nothing is new in the first");
        assert_eq!((record.spans[1].from, record.spans[1].to), (250_000_000, 500_000_000));
        assert_eq!((record.verdict, record.warm), (Some(750_000_000), true));
    }

    #[test]
    fn the_first_verdict_stays_and_the_last_reasons() {
        let mut record = record(3, 2);
        record.add(&line(4, 5));
        assert_eq!((record.verdict, record.warm), (Some(500_000_000), false));
        assert_eq!(record.reasons, "17 & more wait; <cold>");
    }

    #[test]
    fn a_long_watch_takes_no_more_memory() {
        let record = record(10_000, 9_000);
        assert!(record.spans.len() <= SPANS_AT_MOST, "{}", record.spans.len());
        let sum = |of: fn(&Span) -> u64| record.spans.iter().map(of).sum::<u64>();
        assert_eq!(sum(|span| span.app_cpu), 10_000 * 200_000_000);
        assert_eq!(sum(|span| span.new_classes), 9_999);
        assert!(record.spans.windows(2).all(|pair| pair[0].to == pair[1].from), "no gap, no overlap");
        let longest = record.spans.iter().filter(|span| span.to <= 8_900 * 250_000_000).map(|span| span.queue);
        assert!(longest.into_iter().all(|queue| queue == Some(17)));
    }

    #[test]
    fn a_queue_that_cannot_be_seen_stays_unknown() {
        let span = Span { queue: None, ..Span::default() };
        assert_eq!(joined(&[span, span]).queue, None);
        assert_eq!(joined(&[span, Span { queue: Some(3), ..span }]).queue, Some(3));
    }
}
