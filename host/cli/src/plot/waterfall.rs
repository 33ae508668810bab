//! Plots a waterfall of one prediction: the base value, the contribution of each feature, and the prediction.

use plotters::prelude::*;

use super::chart::{self, Area, Chart, DrawResult, MAX_BARS};
use super::explanation::View;
use super::label;

/// A step of the waterfall, from one value to another.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) from: f64,
    pub(super) to: f64,
}

/// Returns the steps from top to bottom: the base value, the features by decreasing absolute contribution, and the
/// prediction. If there are more than [`MAX_BARS`] features, the last ones share a step. The steps of the base value
/// and of the prediction have the length 0.
pub(super) fn steps(view: &View) -> Vec<Step> {
    let mut changes: Vec<(String, f64)> =
        view.features.iter().map(|feature| (label::cell(&feature.name, &feature.cell), feature.value)).collect();
    changes.sort_by(|(_, one), (_, other)| other.abs().total_cmp(&one.abs()));
    if changes.len() > MAX_BARS {
        let others = changes.split_off(MAX_BARS - 1);
        changes.push((format!("{} other features", others.len()), others.iter().map(|(_, value)| value).sum()));
    }
    let mut at = view.base;
    let mut steps = vec![Step { name: "base value".to_owned(), from: at, to: at }];
    for (name, change) in changes {
        steps.push(Step { name, from: at, to: at + change });
        at += change;
    }
    steps.push(Step { name: "prediction".to_owned(), from: view.prediction, to: view.prediction });
    steps
}

pub(super) fn draw<'b>(area: &Area<'b>, steps: &[Step], view: &View) -> DrawResult<'b> {
    let names: Vec<String> = steps.iter().map(|step| step.name.clone()).collect();
    let ends = || steps.iter().map(|step| step.to);
    let range = ends().fold(f64::INFINITY, f64::min)..ends().fold(f64::NEG_INFINITY, f64::max);
    let title = format!("Contributions to {} of row {}", label::name(&view.output), view.row);
    let range = chart::pad(range, 0.18, 0.18);
    let mut chart = chart::build(area, &title, &label::name(&view.output), &names, range)?;
    let count = steps.len();
    for slot in 1..count {
        draw_connector(&mut chart, count, slot, steps[slot - 1].to)?;
    }
    for (slot, step) in steps.iter().enumerate() {
        let is_end = slot == 0 || slot == count - 1;
        if is_end {
            draw_mark(&mut chart, count, slot, step.to)?;
            chart::draw_text(&mut chart, count, slot, step.to, label::number(step.to), false)?;
        } else {
            let is_decrease = step.to < step.from;
            let color = if is_decrease { chart::BLUE } else { chart::RED };
            chart::draw_bar(&mut chart, count, slot, step.from, step.to, color)?;
            chart::draw_text(&mut chart, count, slot, step.to, label::change(step.to - step.from), is_decrease)?;
        }
    }
    Ok(())
}

/// Draws a line at the value `at`, from the previous step to the step in this slot.
fn draw_connector<'b>(chart: &mut Chart<'_, 'b>, steps: usize, slot: usize, at: f64) -> DrawResult<'b> {
    let slot = steps - 1 - slot;
    let ends = [(at, SegmentValue::CenterOf(slot + 1)), (at, SegmentValue::CenterOf(slot))];
    chart.draw_series([PathElement::new(ends, chart::GREY.mix(0.5))]).map(drop)
}

/// Draws a dot at the base value or at the prediction.
fn draw_mark<'b>(chart: &mut Chart<'_, 'b>, steps: usize, slot: usize, at: f64) -> DrawResult<'b> {
    let slot = SegmentValue::CenterOf(steps - 1 - slot);
    chart.draw_series([Circle::new((at, slot), 5, chart::GREY.filled())]).map(drop)
}
