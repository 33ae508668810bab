//! Exact Shapley values: every coalition of the features.
//!
//! Source: L. S. Shapley, "A Value for n-Person Games", 1953. With s members of n features in a coalition, a feature
//! gains `s! (n − s − 1)! / n!` times what it adds to the coalition.

use super::method::Term;

/// Features that a game can have, at most: twice as many predictions for each more.
pub(crate) const MOST_FEATURES: usize = 16;

/// All coalitions of the features; there are at most [`MOST_FEATURES`].
pub(crate) fn terms(varying: &[usize]) -> impl Iterator<Item = Term> + Send {
    let weights = weights(varying.len());
    (0..1_u32 << varying.len()).map(move |coalition| {
        let size = coalition.count_ones() as usize;
        let is_member = |place: usize| coalition >> place & 1 == 1;
        let members = (0..varying.len()).filter(|place| is_member(*place)).map(|place| varying[place]).collect();
        let gain = |place| if is_member(place) { weights[size - 1] } else { -weights[size] };
        let gains = varying.iter().enumerate().map(|(place, feature)| (*feature, gain(place))).collect();
        Term { members, gains }
    })
}

/// What a coalition of each size weighs for a feature that is not in it.
#[expect(clippy::cast_precision_loss, reason = "they are few features")]
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
    fn the_weights_of_all_coalitions_add_up_to_one() {
        assert_eq!(weights(1), [1.0]);
        assert_eq!(weights(3), [1.0 / 3.0, 1.0 / 6.0, 1.0 / 3.0]);
        for features in 1..=MOST_FEATURES {
            // Of the coalitions without a feature, those with it missing and it present weigh the same.
            let total: f64 = terms(&(0..features).collect::<Vec<_>>())
                .flat_map(|term| term.gains)
                .filter(|(feature, weight)| *feature == 0 && *weight > 0.0)
                .map(|(_, weight)| weight)
                .sum();
            assert!((total - 1.0).abs() < 1e-12, "{features} features: {total}");
        }
    }

    #[test]
    fn two_rows_that_are_the_same_have_one_coalition_and_nothing_to_gain() {
        let terms: Vec<_> = terms(&[]).collect();
        assert_eq!(terms.len(), 1);
        assert!(terms[0].members.is_empty() && terms[0].gains.is_empty());
    }
}
