//! Exact Shapley values: every coalition of the features.
//!
//! Source: L. S. Shapley, "A Value for n-Person Games", 1953. With s members of n features in a coalition, a feature
//! gains `s! (n − s − 1)! / n!` times the change of the prediction.

use crate::term::Term;

/// The maximum number of features for exact values. Each feature doubles the number of predictions.
pub const MAX_FEATURES: usize = 16;

/// Iterates over all coalitions of at most [`MAX_FEATURES`] features.
#[derive(Debug)]
pub(crate) struct Coalitions<'a> {
    features: &'a [usize],
    /// The weight of a coalition of each size.
    weights: Vec<f64>,
    /// The members of the next coalition, as bits.
    next: u32,
}

impl<'a> Coalitions<'a> {
    pub(crate) fn new(features: &'a [usize]) -> Self {
        Self { features, weights: weights(features.len()), next: 0 }
    }

    /// Returns the number of predictions, without those of the two rows themselves.
    pub(crate) fn predictions(features: usize) -> usize {
        if features > MAX_FEATURES { usize::MAX } else { (1 << features) - 2.min(1 << features) }
    }

    /// Writes the next coalition to `term`. Returns false at the end.
    pub(crate) fn next(&mut self, term: &mut Term) -> bool {
        let (coalition, size) = (self.next, self.next.count_ones() as usize);
        if coalition >> self.features.len() != 0 {
            return false;
        }
        self.next += 1;
        term.members.clear();
        term.gains.clear();
        for (index, feature) in self.features.iter().enumerate() {
            if coalition >> index & 1 == 1 {
                term.members.push(*feature);
                term.gains.push((*feature, self.weights[size - 1]));
            } else {
                term.gains.push((*feature, -self.weights[size]));
            }
        }
        true
    }
}

/// Returns the weight of a coalition of each size, for a feature that is not in it.
#[expect(clippy::cast_precision_loss, reason = "there are at most 16 features")]
fn weights(features: usize) -> Vec<f64> {
    let mut weight = 1.0 / features as f64;
    (0..features)
        .map(|size| {
            let current = weight;
            weight *= (size + 1) as f64 / (features - size - 1) as f64;
            current
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weights_of_all_coalitions_sum_to_one() {
        assert_eq!(weights(1), [1.0]);
        assert_eq!(weights(3), [1.0 / 3.0, 1.0 / 6.0, 1.0 / 3.0]);
        for features in 1..=MAX_FEATURES {
            // A coalition has the same weight with and without the feature: the positive gains are half of the terms.
            let features: Vec<usize> = (0..features).collect();
            let (mut coalitions, mut term, mut total) = (Coalitions::new(&features), Term::default(), 0.0);
            while coalitions.next(&mut term) {
                total += term.gains[0].1.max(0.0);
            }
            assert!((total - 1.0).abs() < 1e-12, "{} features: {total}", features.len());
        }
    }

    #[test]
    fn equal_rows_have_one_coalition_without_gains() {
        let (mut coalitions, mut term) = (Coalitions::new(&[]), Term::default());
        assert!(coalitions.next(&mut term));
        assert!(term.members.is_empty() && term.gains.is_empty());
        assert!(!coalitions.next(&mut term));
        assert_eq!([0, 1, 2, 3, 17].map(Coalitions::predictions), [0, 0, 2, 6, usize::MAX]);
    }
}
