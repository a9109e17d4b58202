//! The table of milliseconds per token as a picture.

use super::summary::{Row, Summary};
use std::fmt::Write;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 220.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 56.0;
const LINE: f64 = 26.0;

/// An SVG: a bar for each way, the part of it in kernels darker, and the interval of processes over its end.
pub fn svg(summary: &Summary) -> String {
    let height = TOP + LINE * summary.rows.len() as f64 + 20.0;
    let most = summary
        .rows
        .iter()
        .map(|row| row.milliseconds.high)
        .fold(0.0, f64::max);
    let scale = (WIDTH - LEFT - RIGHT) / most.max(f64::MIN_POSITIVE);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"12\" y=\"22\" font-size=\"15\" font-weight=\"bold\" fill=\"#222222\">Milliseconds per token</text>\n\
         <text x=\"12\" y=\"42\" fill=\"#555555\">dark: in kernels; line: least to largest of {} processes; right: over native</text>\n",
        summary.processes
    );
    for (index, row) in summary.rows.iter().enumerate() {
        bar(&mut svg, row, TOP + LINE * index as f64, scale);
    }
    svg.push_str("</svg>\n");
    svg
}

fn bar(svg: &mut String, row: &Row, top: f64, scale: f64) {
    let time = row.milliseconds;
    let (whole, kernels) = (time.value * scale, time.value * row.share.value * scale);
    let middle = top + LINE / 2.0;
    let text = middle + 4.5;
    let (low, high) = (LEFT + time.low * scale, LEFT + time.high * scale);
    // Names are ids of engines and words of this program: nothing to escape. To write to a string cannot fail.
    let _ = write!(
        svg,
        "<text x=\"{:.1}\" y=\"{text:.1}\" text-anchor=\"end\" fill=\"#222222\">{}</text>\n\
         <rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{whole:.1}\" height=\"{:.1}\" fill=\"#9ecae1\"/>\n\
         <rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{kernels:.1}\" height=\"{:.1}\" fill=\"#08519c\"/>\n\
         <line x1=\"{low:.1}\" x2=\"{high:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\" stroke=\"#222222\" stroke-width=\"2\"/>\n\
         <text x=\"{:.1}\" y=\"{text:.1}\" fill=\"#222222\">{:.2} ms, × {:.3}</text>\n",
        LEFT - 8.0,
        row.way.name(),
        top + 4.0,
        LINE - 8.0,
        top + 4.0,
        LINE - 8.0,
        high.max(LEFT + whole) + 8.0,
        time.value,
        row.ratio.value,
    );
}
