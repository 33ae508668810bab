//! Computes exact Shapley values from all coalitions. A coalition is a set of features with the values of the explained
//! row.
//!
//! Source: L. S. Shapley, "A Value for n-Person Games", 1953. If a feature joins a coalition of s of the n features,
//! the change of the prediction has the weight `s! (n − s − 1)! / n!` in the feature's value.

use crate::term::Term;

/// The maximum number of features for which exact values are computed. Each additional feature doubles the number of
/// predictions.
pub const MAX_FEATURES: usize = 16;

/// An iterator over all coalitions of at most [`MAX_FEATURES`] features.
#[derive(Debug)]
pub(crate) struct Coalitions<'a> {
    features: &'a [usize],
    /// The weight of a coalition, by the number of its members.
    weights: Vec<f64>,
    /// The next coalition as a bit set. Each bit stands for a feature.
    next: u32,
}

impl<'a> Coalitions<'a> {
    pub(crate) fn new(features: &'a [usize]) -> Self {
        Self { features, weights: weights(features.len()), next: 0 }
    }

    /// Returns the number of predictions for all coalitions of this many features. Does not count the predictions of
    /// the explained row and the background row themselves.
    pub(crate) fn predictions(features: usize) -> usize {
        if features > MAX_FEATURES { usize::MAX } else { (1 << features) - 2.min(1 << features) }
    }

    /// Writes the next coalition and its weights to `term`. Returns false if all coalitions have been returned.
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

/// Returns the weight of a coalition that a feature joins, by the number of the coalition's members.
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
