//! Plots the importance of the features. Each feature has a bar, whose length is its mean absolute contribution to the
//! predictions.

use super::chart::{self, Area, DrawResult, MAX_BARS};
use super::explanation::View;
use super::label;

/// The name and the value of a bar.
pub(super) type Bar = (String, f64);

/// Returns the bars, largest first. If there are more than [`MAX_BARS`] features, the least important ones share the
/// last bar.
pub(super) fn bars(view: &View) -> Vec<Bar> {
    let mut bars: Vec<Bar> =
        view.features.iter().map(|feature| (label::name(&feature.name), feature.importance)).collect();
    bars.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    if bars.len() > MAX_BARS {
        let others = bars.split_off(MAX_BARS - 1);
        bars.push((format!("{} other features", others.len()), others.iter().map(|(_, value)| value).sum()));
    }
    bars
}

pub(super) fn draw<'b>(area: &Area<'b>, bars: &[Bar], view: &View) -> DrawResult<'b> {
    let names: Vec<String> = bars.iter().map(|(name, _)| name.clone()).collect();
    let max = bars.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let title = format!("Feature importance for {}", label::name(&view.output));
    let axis = match view.rows {
        1 => "absolute change of the prediction".to_owned(),
        rows => format!("mean absolute change of the prediction, over {rows} rows"),
    };
    let mut chart = chart::build(area, &title, &axis, &names, chart::pad(0.0..max, 0.0, 0.15))?;
    for (slot, (_, value)) in bars.iter().enumerate() {
        chart::draw_bar(&mut chart, bars.len(), slot, 0.0, *value, chart::BLUE)?;
        chart::draw_text(&mut chart, bars.len(), slot, *value, label::number(*value), false)?;
    }
    Ok(())
}
