//! Medians, ranges, and the interval of a ratio of pairs.

use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

/// Of at least one value.
pub fn summary(values: impl IntoIterator<Item = f64>) -> Option<Summary> {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let (&min, &max) = (sorted.first()?, sorted.last()?);
    let half = sorted.len() / 2;
    let median = if sorted.len() % 2 == 1 { sorted[half] } else { (sorted[half - 1] + sorted[half]) / 2.0 };
    Some(Summary { median, min, max })
}

/// Geometric mean of ratios with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratio {
    pub mean: f64,
    pub low: f64,
    pub high: f64,
}

/// Student's interval over the logarithms of with/without, pair by pair. Needs two pairs.
pub fn ratio(pairs: &[(f64, f64)]) -> Option<Ratio> {
    let count = pairs.len() as f64;
    if pairs.len() < 2 || pairs.iter().any(|&(with, without)| with <= 0.0 || without <= 0.0) {
        return None;
    }
    let logs: Vec<f64> = pairs.iter().map(|(with, without)| (with / without).ln()).collect();
    let mean = logs.iter().sum::<f64>() / count;
    let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let half = student_95(pairs.len() - 1) * (variance / count).sqrt();
    Some(Ratio { mean: mean.exp(), low: (mean - half).exp(), high: (mean + half).exp() })
}

/// Two-sided 95 % quantile of Student's t; above 30 degrees of freedom that of 30, a little too wide.
fn student_95(degrees: usize) -> f64 {
    const QUANTILES: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
        2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
    ];
    QUANTILES[degrees.clamp(1, QUANTILES.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_and_even_counts() {
        assert_eq!(summary([3.0, 1.0, 2.0]).unwrap(), Summary { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(summary([4.0, 1.0, 2.0, 3.0]).unwrap().median, 2.5);
        assert!(summary([]).is_none());
    }

    #[test]
    fn equal_pairs_have_ratio_one_and_no_width() {
        let equal = ratio(&[(2.0, 2.0), (3.0, 3.0)]).unwrap();
        assert_eq!(equal, Ratio { mean: 1.0, low: 1.0, high: 1.0 });
    }

    #[test]
    fn the_interval_of_three_pairs() {
        // ln 1.1, ln 1.2, ln 1.3: mean 0.18000, standard deviation 0.08363, t(2) = 4.303.
        let ratio = ratio(&[(1.1, 1.0), (1.2, 1.0), (1.3, 1.0)]).unwrap();
        assert!((ratio.mean - 1.1972).abs() < 1e-3, "{ratio:?}");
        assert!((ratio.low - 0.9726).abs() < 1e-3, "{ratio:?}");
        assert!((ratio.high - 1.4737).abs() < 1e-3, "{ratio:?}");
    }

    #[test]
    fn too_few_pairs_or_no_time_give_no_ratio() {
        assert!(ratio(&[(1.0, 1.0)]).is_none());
        assert!(ratio(&[(1.0, 0.0), (1.0, 1.0)]).is_none());
    }
}
