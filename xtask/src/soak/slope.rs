//! A straight line through noisy samples, and how sure its slope is.

/// How the noise is estimated, for the report.
pub(super) const HOW: &str = "three standard errors of the least-squares slope, widened for samples that resemble their neighbors (lag-1 autocorrelation of the residuals)";

/// Slope with its standard error, both per second.
pub(super) struct Line {
    slope: f64,
    error: f64,
}

impl Line {
    /// Least squares; `None` for fewer than eight points or points at one time.
    ///
    /// Memory does not jump back between two samples, so residuals are correlated and the plain standard error
    /// would be too small by far. It is multiplied with sqrt((1+r)/(1-r)), where r is the correlation of
    /// residuals that follow each other: the usual correction for an autoregressive process of order one.
    pub(super) fn through(points: &[(f64, f64)]) -> Option<Self> {
        let count = points.len() as f64;
        if points.len() < 8 {
            return None;
        }
        let mean = |part: fn(&(f64, f64)) -> f64| points.iter().map(part).sum::<f64>() / count;
        let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
        let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
        if spread <= f64::EPSILON {
            return None;
        }
        let slope = points
            .iter()
            .map(|(x, y)| (x - mean_x) * (y - mean_y))
            .sum::<f64>()
            / spread;
        let residuals: Vec<f64> = points
            .iter()
            .map(|(x, y)| y - mean_y - slope * (x - mean_x))
            .collect();
        let squares: f64 = residuals.iter().map(|residual| residual * residual).sum();
        let error = (squares / (count - 2.0) / spread).sqrt();
        let neighbors: f64 = residuals.windows(2).map(|pair| pair[0] * pair[1]).sum();
        let correlation = if squares > 0.0 {
            (neighbors / squares).clamp(0.0, 0.95)
        } else {
            0.0
        };
        Some(Self {
            slope,
            error: error * ((1.0 + correlation) / (1.0 - correlation)).sqrt(),
        })
    }

    /// Units per hour.
    pub(super) fn slope_per_hour(&self) -> f64 {
        self.slope * 3600.0
    }

    /// What the slope may be by chance, units per hour.
    pub(super) fn noise_per_hour(&self) -> f64 {
        self.error * 3.0 * 3600.0
    }

    /// True when the slope is above the noise.
    pub(super) fn surely_rises(&self) -> bool {
        self.slope_per_hour() > self.noise_per_hour()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values between -1 and 1 that look random and are the same each time.
    fn wobble(number: u32) -> f64 {
        // The finalizer of MurmurHash3: neighbors give unrelated values.
        let mut mixed = number.wrapping_add(0x9E37_79B9);
        mixed = (mixed ^ (mixed >> 16)).wrapping_mul(0x85EB_CA6B);
        mixed = (mixed ^ (mixed >> 13)).wrapping_mul(0xC2B2_AE35);
        f64::from((mixed ^ (mixed >> 16)) >> 8) / f64::from(1_u32 << 23) - 1.0
    }

    #[test]
    fn a_straight_rise_is_measured_exactly() {
        let points: Vec<(f64, f64)> = (0..100)
            .map(|n| (f64::from(n), 3.0 * f64::from(n) + 7.0))
            .collect();
        let line = Line::through(&points).unwrap();
        assert!((line.slope_per_hour() - 10_800.0).abs() < 1e-6);
        assert!(line.surely_rises());
    }

    #[test]
    fn noise_without_a_trend_is_no_rise() {
        let points: Vec<(f64, f64)> = (0..200)
            .map(|n| (f64::from(n), 100.0 + 10.0 * wobble(n)))
            .collect();
        assert!(!Line::through(&points).unwrap().surely_rises());
    }

    #[test]
    fn a_slow_rise_under_noise_is_found() {
        let points: Vec<(f64, f64)> = (0..300)
            .map(|n| (f64::from(n), 0.1 * f64::from(n) + 5.0 * wobble(n)))
            .collect();
        assert!(Line::through(&points).unwrap().surely_rises());
    }

    #[test]
    fn correlated_noise_rarely_counts_as_a_rise() {
        let rises = (0..40).filter(|seed| {
            let mut level = 0.0;
            let mut walk = |n: u32| {
                level = 0.8 * level + wobble(n + seed * 1000);
                (f64::from(n), level)
            };
            let points: Vec<(f64, f64)> = (0..300).map(&mut walk).collect();
            Line::through(&points).unwrap().surely_rises()
        });
        let count = rises.count();
        assert!(count <= 2, "{count} of 40");
    }

    #[test]
    fn too_few_points_give_no_line() {
        assert!(Line::through(&[(0.0, 1.0), (1.0, 2.0)]).is_none());
    }
}
