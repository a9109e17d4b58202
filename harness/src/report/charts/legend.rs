//! The legend of a picture, and how its entries are drawn.

use super::{Area, BROKEN, FONT, INK, Line, PALETTE, WIDTH, colour, failed};
use anyhow::Result;
use plotters::{
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

const LEGEND_LINE: u32 = 20;
const LEGEND_COLUMNS: u32 = 4;

/// How an entry of the legend is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// A block of colour.
    Block,
    /// A mark with colour and shape.
    Engine,
    /// A broken line.
    Yardstick,
}

/// Each line's style, and its place among those of the same style.
pub(super) fn styles(lines: &[Line]) -> Vec<(usize, Style)> {
    let (mut yardsticks, mut engines) = (0, 0);
    lines
        .iter()
        .map(|line| {
            let (count, style) = if line.yardstick {
                (&mut yardsticks, Style::Yardstick)
            } else {
                (&mut engines, Style::Engine)
            };
            *count += 1;
            (*count - 1, style)
        })
        .collect()
}

pub(super) fn legend_height(entries: usize) -> u32 {
    14 + LEGEND_LINE * (entries as u32).div_ceil(LEGEND_COLUMNS)
}

/// The legend, above the plot, four entries to a line.
pub(super) fn legend_line(root: &Area<'_>, entries: &[(&str, Style)]) -> Result<()> {
    let style = FONT
        .into_text_style(root)
        .color(&INK)
        .pos(Pos::new(HPos::Left, VPos::Center));
    let (mut yardsticks, mut others) = (0, 0);
    for (index, (entry, kind)) in entries.iter().enumerate() {
        let columns = LEGEND_COLUMNS as i32;
        let x = 20 + (index as i32 % columns) * (WIDTH as i32 - 40) / columns;
        let y = 14 + (index as i32 / columns) * LEGEND_LINE as i32;
        let shape = if *kind == Style::Yardstick {
            let (ink, _) = BROKEN[yardsticks % BROKEN.len()];
            yardsticks += 1;
            let ends = [(x - 14, y), (x + 8, y)];
            root.draw(&PathElement::new(ends, ink.stroke_width(2)))
        } else {
            let series = others;
            others += 1;
            let fill = colour(series).filled();
            match (kind, shape(series)) {
                (Style::Block, _) => {
                    root.draw(&Rectangle::new([(x - 8, y - 6), (x + 6, y + 6)], fill))
                }
                (_, 0) => root.draw(&Circle::new((x, y), 5, fill)),
                (_, 1) => root.draw(&TriangleMarker::new((x, y), 7, fill)),
                _ => root.draw(&Rectangle::new([(x - 4, y - 4), (x + 4, y + 4)], fill)),
            }
        };
        shape.map_err(failed)?;
        root.draw(&Text::new((*entry).to_owned(), (x + 12, y), style.clone()))
            .map_err(failed)?;
    }
    Ok(())
}

/// Where colours repeat, shapes do not.
pub(super) fn shape(series: usize) -> usize {
    (series + series / PALETTE.len()) % 3
}
