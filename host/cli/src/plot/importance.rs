//! Which features matter: a bar for the mean absolute value of each.

use super::chart::{self, Area, Outcome};
use super::explanation::View;
use super::{MAX_BARS, label};

/// A bar: its name, and how long it is.
pub(super) type Bar = (String, f64);

/// The bars, the longest first; the last one holds all features that have none of their own.
pub(super) fn bars(view: &View) -> Vec<Bar> {
    let mut bars: Vec<Bar> =
        view.features.iter().map(|feature| (label::name(&feature.name), feature.importance)).collect();
    bars.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    if bars.len() > MAX_BARS {
        let others = bars.split_off(MAX_BARS - 1);
        bars.push((format!("{} others together", others.len()), others.iter().map(|(_, value)| value).sum()));
    }
    bars
}

pub(super) fn draw<'b>(area: &Area<'b>, bars: &[Bar], view: &View) -> Outcome<'b> {
    let names: Vec<String> = bars.iter().map(|(name, _)| name.clone()).collect();
    let longest = bars.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let title = format!("What matters for {}", label::name(&view.output));
    let axis = match view.rows {
        1 => "absolute change of the prediction".to_owned(),
        rows => format!("mean absolute change of the prediction, over {rows} rows"),
    };
    let mut chart = chart::build(area, &title, &axis, &names, chart::with_room(0.0..longest, 0.0, 0.15))?;
    for (place, (_, value)) in bars.iter().enumerate() {
        chart::bar(&mut chart, bars.len(), place, 0.0, *value, chart::BLUE)?;
        chart::text(&mut chart, bars.len(), place, *value, label::number(*value), false)?;
    }
    Ok(())
}
