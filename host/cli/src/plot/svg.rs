//! Combines the importance chart and the waterfall chart of an explanation in one SVG file.

use plotters::prelude::*;

use super::{chart, explanation, importance, waterfall};
use crate::args::PlotArguments;
use crate::report::CliError;

/// The width of the plot in pixels.
const WIDTH: u32 = 860;

/// Plots an explanation. Returns the text of an SVG file.
pub(crate) fn svg(explanation: &[u8], arguments: &PlotArguments) -> Result<String, CliError> {
    let view = explanation::read(explanation, arguments).map_err(CliError::Input)?;
    let bars = importance::bars(&view);
    let steps = waterfall::steps(&view);
    let heights = [chart::height(bars.len()), chart::height(steps.len())];
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, (WIDTH, heights.iter().sum())).into_drawing_area();
        let result = root.fill(&WHITE).and_then(|()| {
            let (upper, lower) = root.split_vertically(heights[0]);
            importance::draw(&upper, &bars, &view)?;
            waterfall::draw(&lower, &steps, &view)?;
            root.present()
        });
        result.map_err(|error| CliError::Input(format!("failed to plot: {error}")))?;
    }
    Ok(text)
}
