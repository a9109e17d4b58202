//! Pictures as SVG, by plotters. Lines and text take the colour of the text around them (`currentColor`), so that one
//! picture serves light and dark pages; series are told apart by colour and by shape or label.

mod legend;

use anyhow::{Result, anyhow};
use legend::{Style, legend_height, legend_line, shape, styles};
use plotters::{
    coord::{
        CoordTranslate, Shift,
        ranged1d::{AsRangedCoord, Ranged, ValueFormatter},
        types::RangedCoordf64,
    },
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

/// Stands for `currentColor` while plotters, which knows no such colour, draws.
const INK: RGBColor = RGBColor(1, 2, 3);
/// Stand for broken lines of `currentColor`, with the lengths of dashes and gaps: plotters would draw each dash by itself.
const BROKEN: [(RGBColor, &str); 3] = [
    (RGBColor(1, 2, 4), "10 4"),
    (RGBColor(1, 2, 5), "4 4"),
    (RGBColor(1, 2, 6), "2 6"),
];
/// Okabe and Ito's colours, the light ones darkened to a contrast of 3 on white as on black; grey takes the place of their black.
const PALETTE: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(45, 150, 210),
    RGBColor(190, 132, 0),
    RGBColor(128, 128, 128),
];
const WIDTH: u32 = 960;
const ROW_HEIGHT: u32 = 26;
/// Height of a mark and the gap to the next one in its row.
const MARK_HEIGHT: u32 = 13;
/// Space for the axis and its title.
const AXIS: u32 = 52;
const FONT: (&str, f64) = ("sans-serif", 14.0);
/// Width of a character, on average and rounded up: SVG has no measure of text before it is shown.
const CHARACTER: u32 = 8;

/// Whether an axis is linear from zero, or logarithmic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Linear.
    Linear,
    /// Logarithmic: what is not above zero is not drawn.
    Logarithmic,
}

/// A row of bars: the parts stand one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// Name of the row.
    pub label: String,
    /// Lengths, in the order of the legend.
    pub parts: Vec<f64>,
}

/// Stacked bars, one row each.
///
/// # Errors
/// If plotters cannot draw it.
pub fn bars(title: &str, legend: &[&str], rows: &[Bar]) -> Result<String> {
    let longest = rows
        .iter()
        .map(|row| row.parts.iter().sum::<f64>())
        .fold(0.0, f64::max);
    let range = 0.0..(longest * 1.05).max(f64::MIN_POSITIVE);
    let labels: Vec<&str> = rows.iter().map(|row| row.label.as_str()).collect();
    draw(height(rows.len(), 1, legend.len()), |root| {
        let mut builder = ChartBuilder::on(root);
        let mut chart = framed(&mut builder, &labels, legend.len(), range.clone())?;
        axis(&mut chart, title, &labels, root)?;
        for (index, row) in rows.iter().enumerate() {
            let y = index as f64;
            let mut from = 0.0;
            for (part, colour) in row.parts.iter().zip(PALETTE.iter().cycle()) {
                let corners = [(from, y + 0.2), (from + part, y + 0.8)];
                chart
                    .draw_series([Rectangle::new(corners, colour.filled())])
                    .map_err(failed)?;
                from += part;
            }
        }
        let legend: Vec<_> = legend.iter().map(|entry| (*entry, Style::Block)).collect();
        legend_line(root, &legend)
    })
}

/// An estimate with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower bound.
    pub low: f64,
    /// The estimate.
    pub middle: f64,
    /// Upper bound.
    pub high: f64,
}

/// Estimates with intervals: one row per label, one mark per series, `None` where nothing was measured; `bands` are claims,
/// each with the index of the series that it is about.
///
/// # Errors
/// If plotters cannot draw it.
pub fn intervals(
    title: &str,
    scale: Axis,
    series: &[&str],
    rows: &[(String, Vec<Option<Interval>>)],
    bands: &[(f64, f64, usize)],
) -> Result<String> {
    let values = || {
        rows.iter()
            .flat_map(|(_, marks)| marks.iter().flatten())
            .flat_map(|mark| [mark.low, mark.middle, mark.high])
            .chain(bands.iter().flat_map(|(from, to, _)| [*from, *to]))
            .filter(|value| value.is_finite() && (scale == Axis::Linear || *value > 0.0))
    };
    let (least, most) = values().fold(
        (f64::INFINITY, f64::NEG_INFINITY),
        |(least, most), value| (least.min(value), most.max(value)),
    );
    if least > most {
        return Err(anyhow!("there is nothing to draw"));
    }
    let labels: Vec<&str> = rows.iter().map(|(label, _)| label.as_str()).collect();
    let draw_on = |root: &Area<'_>| -> Result<()> {
        let mut builder = ChartBuilder::on(root);
        match scale {
            Axis::Linear => {
                let margin = ((most - least) * 0.05).max(f64::MIN_POSITIVE);
                let range = least.min(0.0) - if least < 0.0 { margin } else { 0.0 }..most + margin;
                let mut chart = framed(&mut builder, &labels, series.len(), range)?;
                axis(&mut chart, title, &labels, root)?;
                marks(&mut chart, rows, bands)?;
            }
            Axis::Logarithmic => {
                let range = (least * 0.8..most * 1.25).log_scale();
                let mut chart = framed(&mut builder, &labels, series.len(), range)?;
                axis(&mut chart, title, &labels, root)?;
                marks(&mut chart, rows, bands)?;
            }
        }
        let legend: Vec<_> = series.iter().map(|entry| (*entry, Style::Engine)).collect();
        legend_line(root, &legend)
    };
    draw(height(rows.len(), series.len(), series.len()), draw_on)
}

fn marks<X>(
    chart: &mut Chart<'_, '_, X>,
    rows: &[(String, Vec<Option<Interval>>)],
    bands: &[(f64, f64, usize)],
) -> Result<()>
where
    X: Ranged<ValueType = f64>,
{
    for (from, to, series) in bands {
        let corners = [(*from, 0.0), (*to, rows.len() as f64)];
        chart
            .draw_series([Rectangle::new(corners, colour(*series).mix(0.18).filled())])
            .map_err(failed)?;
    }
    for (index, (_, marks)) in rows.iter().enumerate() {
        for (series, mark) in marks.iter().enumerate() {
            let Some(mark) = mark else { continue };
            let step = 0.6 / marks.len().max(1) as f64;
            let y = index as f64 + 0.2 + step * (series as f64 + 0.5);
            let style = colour(series).stroke_width(2);
            chart
                .draw_series([PathElement::new([(mark.low, y), (mark.high, y)], style)])
                .map_err(failed)?;
            point(chart, (mark.middle, y), series)?;
        }
    }
    Ok(())
}

/// A line of a chart of sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Name, as in the legend.
    pub label: String,
    /// Positions.
    pub points: Vec<(f64, f64)>,
    /// Where it is marked by a ring: the cross-over.
    pub mark: Option<(f64, f64)>,
    /// Whether it is what the others are measured by: broken, in the colour of text.
    pub yardstick: bool,
}

/// Lines over sizes, both axes logarithmic.
///
/// # Errors
/// If plotters cannot draw it.
pub fn scaling(title_x: &str, title_y: &str, lines: &[Line]) -> Result<String> {
    let positions = || lines.iter().flat_map(|line| line.points.iter().copied());
    let range = |values: Vec<f64>| {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(0.0, f64::max);
        (least.is_finite() && least > 0.0).then_some(least * 0.7..most * 1.4)
    };
    let nothing = || anyhow!("there is nothing to draw");
    let x = range(positions().map(|(x, _)| x).collect()).ok_or_else(nothing)?;
    let y = range(positions().map(|(_, y)| y).collect()).ok_or_else(nothing)?;
    let styles = styles(lines);
    draw(420 + legend_height(lines.len()), |root| {
        let mut chart = ChartBuilder::on(root)
            .margin_top(legend_height(lines.len()))
            .margin_right(24)
            .margin_left(12)
            .x_label_area_size(AXIS)
            .y_label_area_size(84)
            .build_cartesian_2d(x.log_scale(), y.log_scale())
            .map_err(failed)?;
        chart
            .configure_mesh()
            .axis_style(INK.mix(0.6))
            .bold_line_style(INK.mix(0.2))
            .light_line_style(INK.mix(0.06))
            .label_style(FONT.into_text_style(root).color(&INK))
            .x_desc(title_x)
            .y_desc(title_y)
            .x_label_formatter(&|value| short(*value))
            .y_label_formatter(&|value| short(*value))
            .draw()
            .map_err(failed)?;
        for (line, (index, style)) in lines.iter().zip(&styles) {
            let yardstick = *style == Style::Yardstick;
            let (path, ring) = if yardstick {
                (BROKEN[index % BROKEN.len()].0, INK)
            } else {
                (colour(*index), colour(*index))
            };
            chart
                .draw_series([PathElement::new(line.points.clone(), path.stroke_width(2))])
                .map_err(failed)?;
            if !yardstick {
                for position in &line.points {
                    point(&mut chart, *position, *index)?;
                }
            }
            if let Some(mark) = line.mark {
                chart
                    .draw_series([Circle::new(mark, 9, ring.stroke_width(2))])
                    .map_err(failed)?;
            }
        }
        let labels: Vec<_> = lines
            .iter()
            .zip(&styles)
            .map(|(line, (_, style))| (line.label.as_str(), *style))
            .collect();
        legend_line(root, &labels)
    })
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b, X> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<X, RangedCoordf64>>;

fn height(rows: usize, marks: usize, legend: usize) -> u32 {
    let row = ROW_HEIGHT.max(8 + MARK_HEIGHT * marks as u32);
    legend_height(legend) + AXIS + row * rows.max(1) as u32
}

/// Space for the names of rows.
fn label_width(labels: &[&str]) -> u32 {
    let longest = labels.iter().map(|label| label.chars().count()).max();
    20 + CHARACTER * longest.unwrap_or(0).min(40) as u32
}

fn colour(series: usize) -> RGBColor {
    PALETTE[series % PALETTE.len()]
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("failed to draw a picture: {error}")
}

/// Draws, and lets text and lines take the colour of the page.
fn draw(height: u32, on: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        on(&root)?;
        root.present().map_err(failed)?;
    }
    for (RGBColor(red, green, blue), dashes) in BROKEN {
        let stand_in = format!("stroke=\"#{red:02X}{green:02X}{blue:02X}\"");
        let broken = format!("stroke=\"currentColor\" stroke-dasharray=\"{dashes}\"");
        svg = svg.replace(&stand_in, &broken);
    }
    Ok(svg.replace("#010203", "currentColor"))
}

/// A plot of rows, the first on top.
fn framed<'a, 'b, X>(
    builder: &mut ChartBuilder<'a, 'b, SVGBackend<'b>>,
    labels: &[&str],
    legend: usize,
    range: X,
) -> Result<Chart<'a, 'b, X::CoordDescType>>
where
    X: AsRangedCoord<Value = f64>,
{
    builder
        .margin_top(legend_height(legend))
        .margin_right(24)
        .margin_left(label_width(labels))
        .x_label_area_size(AXIS)
        .build_cartesian_2d(range, labels.len() as f64..0.0)
        .map_err(failed)
}

fn axis<X>(
    chart: &mut Chart<'_, '_, X>,
    title: &str,
    labels: &[&str],
    root: &Area<'_>,
) -> Result<()>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .axis_style(INK.mix(0.6))
        .bold_line_style(INK.mix(0.2))
        .light_line_style(INK.mix(0.06))
        .label_style(FONT.into_text_style(root).color(&INK))
        .x_desc(title)
        .x_label_formatter(&|value| short(*value))
        .draw()
        .map_err(failed)?;
    let (_, rows) = chart.plotting_area().get_pixel_range();
    let style = FONT
        .into_text_style(root)
        .color(&INK)
        .pos(Pos::new(HPos::Right, VPos::Center));
    let right = label_width(labels) as i32 - 8;
    let step = f64::from(rows.end - rows.start) / labels.len().max(1) as f64;
    for (index, label) in labels.iter().enumerate() {
        let y = f64::from(rows.start) + step * (index as f64 + 0.5);
        root.draw(&Text::new(
            (*label).to_owned(),
            (right, y as i32),
            style.clone(),
        ))
        .map_err(failed)?;
    }
    Ok(())
}

/// A mark whose shape tells the series as its colour does.
fn point<X, Y>(
    chart: &mut ChartContext<'_, SVGBackend<'_>, Cartesian2d<X, Y>>,
    at: (f64, f64),
    series: usize,
) -> Result<()>
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
    Cartesian2d<X, Y>: CoordTranslate<From = (f64, f64)>,
{
    let style = colour(series).filled();
    match shape(series) {
        0 => chart.draw_series([Circle::new(at, 5, style)]).map(drop),
        1 => chart
            .draw_series([TriangleMarker::new(at, 7, style)])
            .map(drop),
        _ => {
            let square = EmptyElement::at(at) + Rectangle::new([(-4, -4), (4, 4)], style);
            chart.draw_series([square]).map(drop)
        }
    }
    .map_err(failed)
}

/// A number of an axis, in few characters.
fn short(value: f64) -> String {
    let size = value.abs();
    let (value, unit) = if size >= 1e9 {
        (value / 1e9, " G")
    } else if size >= 1e6 {
        (value / 1e6, " M")
    } else if size >= 1e4 {
        (value / 1e3, " k")
    } else {
        (value, "")
    };
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_take_the_colour_of_their_page_and_name_every_row() {
        let bars = bars(
            "nanoseconds",
            &["call", "copy"],
            &[Bar {
                label: "wasmi".to_owned(),
                parts: vec![100.0, 50.0],
            }],
        )
        .unwrap();
        let mark = Interval {
            low: 1.0,
            middle: 2.0,
            high: 4.0,
        };
        let rows = [("rope_f32".to_owned(), vec![Some(mark), None])];
        let linear = intervals(
            "%",
            Axis::Linear,
            &["epoch", "fuel"],
            &rows,
            &[(2.0, 5.0, 0)],
        );
        let log = intervals("ms", Axis::Logarithmic, &["epoch", "fuel"], &rows, &[]);
        let line = Line {
            label: "native".to_owned(),
            points: vec![(1.0, 10.0), (1000.0, 5000.0)],
            mark: Some((100.0, 700.0)),
            yardstick: true,
        };
        let scaling = scaling("elements", "ns", &[line]).unwrap();
        for (svg, words) in [
            (bars, vec!["wasmi", "call", "nanoseconds"]),
            (linear.unwrap(), vec!["rope_f32", "fuel"]),
            (log.unwrap(), vec!["rope_f32", "ms"]),
            (scaling, vec!["native", "elements"]),
        ] {
            assert!(svg.contains("currentColor") && !svg.contains("#01020"));
            assert_eq!(svg.contains("stroke-dasharray"), words.contains(&"native"));
            for word in words {
                assert!(svg.contains(word), "no {word}");
            }
        }
    }

    #[test]
    fn nothing_to_draw_is_said() {
        assert!(intervals("%", Axis::Linear, &["a"], &[], &[]).is_err());
        assert!(scaling("x", "y", &[]).is_err());
    }

    #[test]
    fn numbers_of_axes_are_short() {
        let numbers = [0.05, 1.0, 2500.0, 65536.0, 1_500_000.0, 2e9];
        assert_eq!(
            numbers.map(short),
            ["0.05", "1", "2500", "65.536 k", "1.5 M", "2 G"]
        );
    }
}
