//! Draws the costs of a report as a bar chart with a logarithmic scale.

use std::io;
use std::path::Path;

use plotters::prelude::{
    ChartBuilder, Color, IntoDrawingArea, IntoFont, IntoLogRange, Palette, Palette99, Rectangle, SVGBackend, Text,
    WHITE,
};

use crate::report::{Measured, Report, WorkReport};

const WIDTH: u32 = 900;
const BAR: u32 = 16;

/// Writes the chart to an SVG file.
pub(crate) fn draw(report: &Report, path: &Path) -> io::Result<()> {
    let rows: Vec<Row<'_>> = report.works.iter().flat_map(Row::of).collect();
    let height = BAR * u32::try_from(rows.len()).unwrap_or_default() + 90;
    let area = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE).map_err(io::Error::other)?;
    let longest = rows.iter().map(|row| row.wall).fold(1.0, f64::max);
    let bottom = rows.len() as f64;
    let mut chart = ChartBuilder::on(&area);
    let caption = format!("Time of one call or chunk, in microseconds ({})", report.origin());
    let mut chart = chart
        .caption(caption, ("sans-serif", 14).into_font())
        .margin(10)
        .margin_right(60)
        .margin_left(270)
        .x_label_area_size(30)
        .build_cartesian_2d((1.0..longest * 2.0).log_scale(), bottom..0.0)
        .map_err(io::Error::other)?;
    chart.configure_mesh().disable_y_mesh().disable_y_axis().draw().map_err(io::Error::other)?;
    let small = ("sans-serif", 12).into_font();
    for (number, row) in rows.iter().enumerate() {
        let top = number as f64;
        if let Some(color) = row.color {
            let bar = Rectangle::new([(1.0, top + 0.1), (row.wall, top + 0.9)], Palette99::pick(color).filled());
            let value = Text::new(format!(" {:.1}", row.wall), (row.wall, top + 0.2), small.clone());
            chart.draw_series([bar]).map_err(io::Error::other)?;
            chart.draw_series([value]).map_err(io::Error::other)?;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "some dozen rows")]
        let line = 40 + (number as u32 * BAR) as i32;
        let indent = if row.color.is_some() { 30 } else { 10 };
        area.draw(&Text::new(row.label, (indent, line), small.clone())).map_err(io::Error::other)?;
    }
    area.present().map_err(io::Error::other)
}

/// A line of the chart: the title of a kind of work, or a bar.
struct Row<'a> {
    label: &'a str,
    wall: f64,
    color: Option<usize>,
}

impl<'a> Row<'a> {
    fn of(work: &'a WorkReport) -> Vec<Self> {
        let title = Row { label: work.title, wall: 1.0, color: None };
        let bar = |(number, measured): (usize, &'a Measured)| Row {
            label: measured.subject,
            wall: measured.median.wall,
            color: Some(number),
        };
        [title].into_iter().chain(work.subjects.iter().enumerate().map(bar)).collect()
    }
}
