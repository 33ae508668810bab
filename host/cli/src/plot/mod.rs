//! Draws an explanation as SVG: what matters over all rows, and how one row's prediction comes about.
//!
//! It reads the answer of `explain` as the target `local` gives it, and knows no target.

mod chart;
mod explanation;
mod importance;
mod label;
#[cfg(test)]
mod tests;
mod waterfall;

use plotters::prelude::*;

use crate::args::PlotArguments;
use crate::report::CliError;

/// Pixels.
const WIDTH: u32 = 860;

/// Features with a bar of their own, at most; the others share one.
const MAX_BARS: usize = 12;

/// Draws the explanation in an answer; gives the text of an SVG file.
pub(crate) fn svg(answer: &[u8], arguments: &PlotArguments) -> Result<String, CliError> {
    let view = explanation::read(answer, arguments).map_err(CliError::Input)?;
    let above = importance::bars(&view);
    let below = waterfall::steps(&view);
    let heights = [chart::height(above.len()), chart::height(below.len())];
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, (WIDTH, heights.iter().sum())).into_drawing_area();
        let drawn = root.fill(&WHITE).and_then(|()| {
            let (upper, lower) = root.split_vertically(heights[0]);
            importance::draw(&upper, &above, &view)?;
            waterfall::draw(&lower, &below, &view)?;
            root.present()
        });
        drawn.map_err(|error| CliError::Input(format!("failed to draw the plot: {error}")))?;
    }
    Ok(text)
}
