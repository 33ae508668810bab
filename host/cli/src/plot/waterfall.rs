//! How one prediction comes about: from the base value, over what each feature adds, to the prediction.

use plotters::prelude::*;

use super::chart::{self, Area, Chart, Outcome};
use super::explanation::View;
use super::{MAX_BARS, label};

/// A step: its name, and from where to where it goes.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) from: f64,
    pub(super) to: f64,
}

/// The steps from top to bottom: the base value, the features with the largest change first, those that have no step of
/// their own, and the prediction. The first and the last go nowhere.
pub(super) fn steps(view: &View) -> Vec<Step> {
    let mut changes: Vec<(String, f64)> =
        view.features.iter().map(|feature| (label::cell(&feature.name, &feature.cell), feature.value)).collect();
    changes.sort_by(|(_, one), (_, other)| other.abs().total_cmp(&one.abs()));
    if changes.len() > MAX_BARS {
        let others = changes.split_off(MAX_BARS - 1);
        changes.push((format!("{} others together", others.len()), others.iter().map(|(_, value)| value).sum()));
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

pub(super) fn draw<'b>(area: &Area<'b>, steps: &[Step], view: &View) -> Outcome<'b> {
    let names: Vec<String> = steps.iter().map(|step| step.name.clone()).collect();
    let ends = || steps.iter().map(|step| step.to);
    let range = ends().fold(f64::INFINITY, f64::min)..ends().fold(f64::NEG_INFINITY, f64::max);
    let title = format!("How row {} gets its {}", view.row, label::name(&view.output));
    let range = chart::with_room(range, 0.18, 0.18);
    let mut chart = chart::build(area, &title, &label::name(&view.output), &names, range)?;
    let count = steps.len();
    for place in 1..count {
        connect(&mut chart, count, place, steps[place - 1].to)?;
    }
    for (place, step) in steps.iter().enumerate() {
        let is_end = place == 0 || place == count - 1;
        if is_end {
            mark(&mut chart, count, place, step.to)?;
            chart::text(&mut chart, count, place, step.to, label::number(step.to), false)?;
        } else {
            let is_less = step.to < step.from;
            let color = if is_less { chart::BLUE } else { chart::RED };
            chart::bar(&mut chart, count, place, step.from, step.to, color)?;
            chart::text(&mut chart, count, place, step.to, label::change(step.to - step.from), is_less)?;
        }
    }
    Ok(())
}

/// A line from one step's end to the next step's beginning.
fn connect<'b>(chart: &mut Chart<'_, 'b>, steps: usize, place: usize, at: f64) -> Outcome<'b> {
    let place = steps - 1 - place;
    let ends = [(at, SegmentValue::CenterOf(place + 1)), (at, SegmentValue::CenterOf(place))];
    chart.draw_series([PathElement::new(ends, chart::GREY.mix(0.5))]).map(drop)
}

/// Where the steps begin and end.
fn mark<'b>(chart: &mut Chart<'_, 'b>, steps: usize, place: usize, at: f64) -> Outcome<'b> {
    let place = SegmentValue::CenterOf(steps - 1 - place);
    chart.draw_series([Circle::new((at, place), 5, chart::GREY.filled())]).map(drop)
}
