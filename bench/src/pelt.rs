//! PELT: the best division of a series into segments of constant mean.
//!
//! R. Killick, P. Fearnhead, I. A. Eckley: Optimal detection of changepoints with a linear computational cost.
//! Journal of the American Statistical Association 107 (500), 2012. The cost of a segment is the sum of its squared
//! distances from its mean; each change costs the penalty.

/// Where the last segment of a division may begin.
struct Candidate {
    begin: usize,
    /// Pruned for every end from here on.
    until: usize,
}

/// Where each segment but the first begins. No segment is shorter than `shortest`.
pub fn changes(series: &[f64], penalty: f64, shortest: usize) -> Vec<usize> {
    let shortest = shortest.max(1);
    let sums = Sums::of(series);
    // Of the best division of the first so many values: its cost, and where its last segment begins.
    let mut best = vec![f64::INFINITY; series.len() + 1];
    let mut last = vec![0; series.len() + 1];
    best[0] = -penalty;
    let mut candidates = vec![Candidate { begin: 0, until: usize::MAX }];
    for end in shortest..=series.len() {
        if end >= 2 * shortest {
            candidates.push(Candidate { begin: end - shortest, until: usize::MAX });
        }
        candidates.retain(|candidate| end < candidate.until);
        for candidate in &candidates {
            let cost = best[candidate.begin] + sums.cost(candidate.begin, end) + penalty;
            if cost < best[end] {
                (best[end], last[end]) = (cost, candidate.begin);
            }
        }
        // One that is no better even without a penalty stays so, as soon as a change here is allowed instead: after
        // `shortest` more values (theorem 3.1, with the least length).
        for candidate in &mut candidates {
            if best[candidate.begin] + sums.cost(candidate.begin, end) >= best[end] {
                candidate.until = candidate.until.min(end + shortest);
            }
        }
    }
    walk_back(&last)
}

fn walk_back(last: &[usize]) -> Vec<usize> {
    let mut changes = Vec::new();
    let mut begin = last[last.len() - 1];
    while begin > 0 {
        changes.push(begin);
        begin = last[begin];
    }
    changes.reverse();
    changes
}

/// Of all values, and all squares, before each place.
struct Sums(Vec<(f64, f64)>);

impl Sums {
    fn of(series: &[f64]) -> Self {
        let mut sums = vec![(0.0, 0.0)];
        let (mut sum, mut squares) = (0.0, 0.0);
        for value in series {
            sum += value;
            squares += value * value;
            sums.push((sum, squares));
        }
        Self(sums)
    }

    fn cost(&self, begin: usize, end: usize) -> f64 {
        let ((sum, squares), (sum_before, squares_before)) = (self.0[end], self.0[begin]);
        // Rounding must not make it negative.
        (squares - squares_before - (sum - sum_before).powi(2) / (end - begin) as f64).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers between -0.5 and 0.5 (Knuth's MMIX generator).
    fn noise(count: usize, mut state: u64) -> Vec<f64> {
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
        };
        (0..count).map(|_| next()).collect()
    }

    fn steps(levels: &[(usize, f64)], scale: f64, seed: u64) -> Vec<f64> {
        let levels: Vec<f64> = levels.iter().flat_map(|&(count, level)| vec![level; count]).collect();
        let noise = noise(levels.len(), seed);
        levels.iter().zip(noise).map(|(level, noise)| level + noise * scale).collect()
    }

    #[test]
    fn changes_of_the_mean_are_found() {
        let series = steps(&[(20, 3.0), (35, 1.0), (50, 1.6)], 0.4, 1);
        assert_eq!(changes(&series, 1.0, 2), [20, 55]);
    }

    #[test]
    fn noise_alone_has_no_change() {
        for series in [steps(&[(200, 1.0)], 0.4, 7), vec![1.0], vec![]] {
            assert!(changes(&series, 1.0, 2).is_empty(), "{series:?}");
        }
    }

    #[test]
    fn a_peak_shorter_than_the_shortest_segment_is_none() {
        let series = steps(&[(30, 1.0), (1, 9.0), (30, 1.0)], 0.0, 1);
        assert_eq!(changes(&series, 1.0, 1), [30, 31]);
        let changes = changes(&series, 1.0, 5);
        assert!(changes.windows(2).all(|pair| pair[1] - pair[0] >= 5), "{changes:?}");
    }

    /// The cost of a division; the best of all divisions, tried one and all, without pruning.
    fn cost(series: &[f64], changes: &[usize], penalty: f64) -> f64 {
        let sums = Sums::of(series);
        let bounds: Vec<usize> = [&[0], changes, &[series.len()]].concat();
        bounds.windows(2).map(|pair| sums.cost(pair[0], pair[1])).sum::<f64>() + penalty * changes.len() as f64
    }

    fn least_cost(series: &[f64], begin: usize, penalty: f64, shortest: usize) -> f64 {
        let sums = Sums::of(series);
        let whole = sums.cost(begin, series.len());
        let divided = (begin + shortest..=series.len().saturating_sub(shortest))
            .map(|change| sums.cost(begin, change) + penalty + least_cost(series, change, penalty, shortest));
        divided.fold(whole, f64::min)
    }

    #[test]
    fn pruning_loses_no_best_division() {
        for seed in 0..200 {
            let series = steps(&[(4, 0.0), (5, 0.5), (5, 0.2)], 0.8, seed);
            for (penalty, shortest) in [(0.02, 1), (0.1, 1), (0.05, 2), (0.2, 3)] {
                let found = cost(&series, &changes(&series, penalty, shortest), penalty);
                let least = least_cost(&series, 0, penalty, shortest);
                assert!((found - least).abs() < 1e-9, "{found} {least} {series:?} {penalty} {shortest}");
            }
        }
    }
}
