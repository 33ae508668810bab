//! What both charts have in common: a bar for each name, from top to bottom, over an axis of numbers.

use std::ops::Range;

use plotters::chart::ChartContext;
use plotters::coord::Shift;
use plotters::coord::ranged1d::SegmentedCoord;
use plotters::coord::types::{RangedCoordf64, RangedCoordusize};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::label;

/// A part of the picture.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// What can go wrong while drawing.
pub(super) type Outcome<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

/// Numbers from left to right, and places from top to bottom.
pub(super) type Chart<'a, 'b> =
    ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, SegmentedCoord<RangedCoordusize>>>;

/// More.
pub(super) const RED: RGBColor = RGBColor(200, 60, 75);

/// Less.
pub(super) const BLUE: RGBColor = RGBColor(40, 110, 165);

pub(super) const GREY: RGBColor = RGBColor(90, 90, 90);

const FONT: &str = "sans-serif";

/// Pixels of one bar with the space around it.
const BAR: u32 = 28;

/// Pixels of the title and the axis.
const AROUND: u32 = 110;

/// Pixels of the names.
const NAMES: u32 = 260;

/// The height of a chart with so many bars, in pixels.
pub(super) fn height(bars: usize) -> u32 {
    AROUND + BAR * u32::try_from(bars).unwrap_or(u32::MAX / BAR / 2)
}

/// An empty chart over the numbers, with room for texts beside the bars.
pub(super) fn build<'a, 'b>(
    area: &'a Area<'b>,
    title: &str,
    axis: &str,
    names: &[String],
    numbers: Range<f64>,
) -> Result<Chart<'a, 'b>, DrawingAreaErrorKind<<SVGBackend<'b> as DrawingBackend>::ErrorType>> {
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 20))
        .margin(12)
        .margin_right(24)
        .set_label_area_size(LabelAreaPosition::Left, NAMES)
        .set_label_area_size(LabelAreaPosition::Bottom, 46)
        .build_cartesian_2d(numbers, (0..names.len() - 1).into_segmented())?;
    let name = |place: &SegmentValue<usize>| match place {
        // Places count from the bottom.
        SegmentValue::CenterOf(place) => names[names.len() - 1 - place].clone(),
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

/// A range of numbers with room at both ends, as parts of its width. It is never so narrow that the axis would have no
/// numbers of its own.
pub(super) fn with_room(numbers: Range<f64>, left: f64, right: f64) -> Range<f64> {
    const NARROWEST: f64 = 1e-100;
    let size = numbers.start.abs().max(numbers.end.abs());
    let width = (numbers.end - numbers.start).max(size * 1e-6).max(NARROWEST);
    numbers.start - left * width..numbers.end.max(numbers.start + width) + right * width
}

/// A bar from one number to another, in the place that counts from the top.
pub(super) fn bar<'b>(
    chart: &mut Chart<'_, 'b>,
    bars: usize,
    place: usize,
    from: f64,
    to: f64,
    color: RGBColor,
) -> Outcome<'b> {
    let place = bars - 1 - place;
    let corners = [(from, SegmentValue::Exact(place)), (to, SegmentValue::Exact(place + 1))];
    let mut bar = Rectangle::new(corners, color.filled());
    bar.set_margin(5, 5, 0, 0);
    chart.draw_series([bar]).map(drop)
}

/// A text beside a number, in the place that counts from the top.
pub(super) fn text<'b>(
    chart: &mut Chart<'_, 'b>,
    bars: usize,
    place: usize,
    at: f64,
    text: String,
    is_left: bool,
) -> Outcome<'b> {
    let (anchor, shift) = if is_left { (HPos::Right, -8) } else { (HPos::Left, 8) };
    let style = TextStyle::from((FONT, 16).into_font()).color(&GREY).pos(Pos::new(anchor, VPos::Center));
    let place = SegmentValue::CenterOf(bars - 1 - place);
    chart.draw_series([EmptyElement::at((at, place)) + Text::new(text, (shift, 0), style)]).map(drop)
}
