//! A horizontal bar chart over a numeric axis, which both plots of an explanation use. Each bar has a name, and a slot:
//! its place from top to bottom.

use std::ops::Range;

use plotters::chart::ChartContext;
use plotters::coord::Shift;
use plotters::coord::ranged1d::SegmentedCoord;
use plotters::coord::types::{RangedCoordf64, RangedCoordusize};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::label;

/// The rectangle of the plot in which a chart is drawn.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The result of a function that draws.
pub(super) type DrawResult<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

/// A chart with a numeric axis from left to right, and with one slot for each bar from top to bottom.
pub(super) type Chart<'a, 'b> =
    ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, SegmentedCoord<RangedCoordusize>>>;

/// The color of a contribution that increases the prediction.
pub(super) const RED: RGBColor = RGBColor(200, 60, 75);

/// The color of a contribution that decreases the prediction, and of the bars for feature importance.
pub(super) const BLUE: RGBColor = RGBColor(40, 110, 165);

pub(super) const GREY: RGBColor = RGBColor(90, 90, 90);

const FONT: &str = "sans-serif";

/// The maximum number of bars for features. If there are more features, the remaining ones share the last bar.
pub(super) const MAX_BARS: usize = 12;

/// The height of a bar with its margins, in pixels.
const BAR_HEIGHT: u32 = 28;

/// The height of the title and the axis of a chart, in pixels.
const FRAME_HEIGHT: u32 = 110;

/// The width of the column with the names of the bars, in pixels.
const NAME_WIDTH: u32 = 260;

/// Returns the height of a chart with this number of bars, in pixels.
pub(super) fn height(bars: usize) -> u32 {
    FRAME_HEIGHT + BAR_HEIGHT * u32::try_from(bars).unwrap_or(u32::MAX / BAR_HEIGHT / 2)
}

/// Draws a chart without bars: the title, the names of the bars, and the axis for a range of values.
pub(super) fn build<'a, 'b>(
    area: &'a Area<'b>,
    title: &str,
    axis: &str,
    names: &[String],
    range: Range<f64>,
) -> Result<Chart<'a, 'b>, DrawingAreaErrorKind<<SVGBackend<'b> as DrawingBackend>::ErrorType>> {
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 20))
        .margin(12)
        .margin_right(24)
        .set_label_area_size(LabelAreaPosition::Left, NAME_WIDTH)
        .set_label_area_size(LabelAreaPosition::Bottom, 46)
        .build_cartesian_2d(range, (0..names.len() - 1).into_segmented())?;
    let name = |slot: &SegmentValue<usize>| match slot {
        // plotters counts slots from the bottom.
        SegmentValue::CenterOf(slot) => names[names.len() - 1 - slot].clone(),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .light_line_style(WHITE.mix(0.0))
        .bold_line_style(GREY.mix(0.18))
        .axis_style(GREY.mix(0.6))
        .label_style((FONT, 16))
        .x_labels(7)
        .x_label_formatter(&|value| label::number(*value))
        .y_labels(names.len())
        .y_label_formatter(&name)
        .x_desc(axis)
        .axis_desc_style((FONT, 16))
        .draw()?;
    Ok(chart)
}

/// Extends a range at both ends. `left` and `right` are fractions of its width. Widens a range that is too narrow for
/// distinct axis labels.
pub(super) fn pad(range: Range<f64>, left: f64, right: f64) -> Range<f64> {
    const MIN_WIDTH: f64 = 1e-100;
    let size = range.start.abs().max(range.end.abs());
    let width = (range.end - range.start).max(size * 1e-6).max(MIN_WIDTH);
    range.start - left * width..range.end.max(range.start + width) + right * width
}

/// Draws a bar from one value to another. `slot` is the index of the bar, counted from the top.
pub(super) fn draw_bar<'b>(
    chart: &mut Chart<'_, 'b>,
    bars: usize,
    slot: usize,
    from: f64,
    to: f64,
    color: RGBColor,
) -> DrawResult<'b> {
    let slot = bars - 1 - slot;
    let corners = [(from, SegmentValue::Exact(slot)), (to, SegmentValue::Exact(slot + 1))];
    let mut bar = Rectangle::new(corners, color.filled());
    bar.set_margin(5, 5, 0, 0);
    chart.draw_series([bar]).map(drop)
}

/// Draws a text beside a value. `slot` is the index of the bar, counted from the top.
pub(super) fn draw_text<'b>(
    chart: &mut Chart<'_, 'b>,
    bars: usize,
    slot: usize,
    at: f64,
    text: String,
    is_left: bool,
) -> DrawResult<'b> {
    let (anchor, shift) = if is_left { (HPos::Right, -8) } else { (HPos::Left, 8) };
    let style = TextStyle::from((FONT, 16).into_font()).color(&GREY).pos(Pos::new(anchor, VPos::Center));
    let slot = SegmentValue::CenterOf(bars - 1 - slot);
    chart.draw_series([EmptyElement::at((at, slot)) + Text::new(text, (shift, 0), style)]).map(drop)
}
