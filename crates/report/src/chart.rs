//! Curves and bars as SVG: own axes in pixels over the crate `plotters`, with a label beside every
//! curve instead of a legend to look things up in.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// A chart that could not be drawn, and why.
#[derive(Debug, thiserror::Error)]
#[error("could not draw a chart: {0}")]
pub struct Undrawable(String);

type Result<T> = std::result::Result<T, Undrawable>;

pub use plotters::style::RGBColor;

pub const BLUE: RGBColor = RGBColor(11, 87, 208);
pub const AMBER: RGBColor = RGBColor(217, 119, 6);
pub const GREY: RGBColor = RGBColor(107, 114, 128);

/// One direction of a chart.
pub struct Axis {
    pub label: &'static str,
    pub lo: f64,
    pub hi: f64,
    pub log: bool,
    pub show: fn(f64) -> String,
}

/// One curve.
pub struct Series {
    pub name: String,
    pub color: RGBColor,
    pub dashed: bool,
    pub bold: bool,
    pub points: Vec<(f64, f64)>,
}

/// One bar.
pub struct Bar {
    pub name: String,
    pub color: RGBColor,
    pub value: f64,
    pub text: String,
}

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const INK: RGBColor = RGBColor(31, 41, 55);
const FAINT: RGBColor = RGBColor(107, 114, 128);
const GRID: RGBColor = RGBColor(229, 231, 235);
const FONT: &str = "sans-serif";
const WIDTH: i32 = 1060;
const HEIGHT: i32 = 480;
/// The plot's own rectangle: left, top, right, bottom. Labels of curves stand right of it.
const PLOT: (i32, i32, i32, i32) = (76, 28, 770, 426);
const LABEL_HEIGHT: i32 = 18;

impl Axis {
    /// Where a value lies between the ends, 0 to 1 inside.
    fn place(&self, v: f64) -> f64 {
        match self.log {
            true => (v / self.lo).ln() / (self.hi / self.lo).ln(),
            false => (v - self.lo) / (self.hi - self.lo),
        }
    }

    /// Round values inside the range: 1, 2, 5 times powers of ten, or even steps.
    fn ticks(&self) -> Vec<f64> {
        let inside = |v: &f64| *v >= self.lo * (1.0 - 1e-9) && *v <= self.hi * (1.0 + 1e-9);
        if self.log {
            let decades = (self.hi / self.lo).log10();
            let steps: &[f64] = if decades > 4.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
            let powers = (self.lo.log10().floor() as i32)..=(self.hi.log10().ceil() as i32);
            let all = powers.flat_map(|p| steps.iter().map(move |s| s * 10f64.powi(p)));
            return all.filter(inside).collect();
        }
        let raw = (self.hi - self.lo) / 8.0;
        let power = 10f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|s| s * power).into_iter().find(|s| *s >= raw);
        let step = step.unwrap_or(raw);
        let first = (self.lo / step).ceil() as i64;
        (first..first + 20).map(|i| i as f64 * step).filter(inside).collect()
    }
}

/// A logarithmic axis that holds all values with a little air.
pub fn log_axis(
    label: &'static str,
    values: impl Iterator<Item = f64>,
    show: fn(f64) -> String,
) -> Axis {
    let (lo, hi) = values
        .filter(|v| *v > 0.0)
        .fold((f64::INFINITY, 0.0), |(lo, hi), v| (f64::min(lo, v), f64::max(hi, v)));
    let (lo, hi) = if hi > 0.0 { (lo, hi) } else { (1.0, 10.0) };
    Axis { label, lo: lo / 1.3, hi: hi * 1.3, log: true, show }
}

/// Draws curves; points outside the axes are left out.
pub fn curves(x: &Axis, y: &Axis, series: &[Series]) -> Result<String> {
    let mut svg = String::new();
    {
        let root =
            SVGBackend::with_string(&mut svg, (WIDTH as u32, HEIGHT as u32)).into_drawing_area();
        root.fill(&WHITE).map_err(draw)?;
        frame(&root, x, y)?;
        let mut ends = Vec::new();
        for s in series {
            let inside = |p: &&(f64, f64)| (0.0..=1.0).contains(&x.place(p.0)) && p.1 > 0.0;
            let at: Vec<(i32, i32)> = s
                .points
                .iter()
                .filter(inside)
                .map(|p| (across(x.place(p.0)), down(y.place(p.1))))
                .collect();
            if let Some(&end) = at.last() {
                curve(&root, s, &at)?;
                ends.push((end, s));
            }
        }
        labels(&root, ends)?;
        root.present().map_err(draw)?;
    }
    Ok(scalable(&svg, WIDTH, HEIGHT))
}

fn draw<E: std::error::Error + Send + Sync>(error: DrawingAreaErrorKind<E>) -> Undrawable {
    Undrawable(error.to_string())
}

fn across(share: f64) -> i32 {
    PLOT.0 + (share * f64::from(PLOT.2 - PLOT.0)).round() as i32
}

fn down(share: f64) -> i32 {
    PLOT.3 - (share * f64::from(PLOT.3 - PLOT.1)).round() as i32
}

fn text(size: i32, color: RGBColor, h: HPos, v: VPos) -> TextStyle<'static> {
    (FONT, size).into_font().color(&color).pos(Pos::new(h, v))
}

fn frame(root: &Canvas, x: &Axis, y: &Axis) -> Result<()> {
    for tick in x.ticks() {
        let at = across(x.place(tick));
        let line = PathElement::new(vec![(at, PLOT.1), (at, PLOT.3)], GRID.stroke_width(1));
        root.draw(&line).map_err(draw)?;
        let style = text(14, FAINT, HPos::Center, VPos::Top);
        root.draw_text(&(x.show)(tick), &style, (at, PLOT.3 + 8)).map_err(draw)?;
    }
    for tick in y.ticks() {
        let at = down(y.place(tick));
        let line = PathElement::new(vec![(PLOT.0, at), (PLOT.2, at)], GRID.stroke_width(1));
        root.draw(&line).map_err(draw)?;
        let style = text(14, FAINT, HPos::Right, VPos::Center);
        root.draw_text(&(y.show)(tick), &style, (PLOT.0 - 8, at)).map_err(draw)?;
    }
    let axis = vec![(PLOT.0, PLOT.1), (PLOT.0, PLOT.3), (PLOT.2, PLOT.3)];
    root.draw(&PathElement::new(axis, FAINT.stroke_width(1))).map_err(draw)?;
    let middle = ((PLOT.0 + PLOT.2) / 2, PLOT.3 + 34);
    root.draw_text(x.label, &text(15, INK, HPos::Center, VPos::Top), middle).map_err(draw)?;
    let style = text(15, INK, HPos::Left, VPos::Top);
    root.draw_text(y.label, &style, (PLOT.0 - 66, 4)).map_err(draw)
}

fn curve(root: &Canvas, s: &Series, at: &[(i32, i32)]) -> Result<()> {
    let stroke = s.color.stroke_width(if s.bold { 3 } else { 2 });
    if s.dashed {
        for dash in dashes(at) {
            root.draw(&PathElement::new(dash, stroke)).map_err(draw)?;
        }
    } else {
        root.draw(&PathElement::new(at.to_vec(), stroke)).map_err(draw)?;
    }
    for &p in at {
        root.draw(&Circle::new(p, 4, s.color.filled())).map_err(draw)?;
    }
    Ok(())
}

/// Cuts a path into dashes; the rhythm goes on around corners.
fn dashes(at: &[(i32, i32)]) -> Vec<Vec<(i32, i32)>> {
    const ON: f64 = 7.0;
    const PERIOD: f64 = 11.0;
    let mut cuts: Vec<Vec<(i32, i32)>> = Vec::new();
    let mut walked = 0.0;
    for ends in at.windows(2) {
        let (a, b) = (ends[0], ends[1]);
        let (dx, dy) = (f64::from(b.0 - a.0), f64::from(b.1 - a.1));
        let length = dx.hypot(dy);
        let point = |t: f64| (a.0 + (dx * t / length) as i32, a.1 + (dy * t / length) as i32);
        let mut t = 0.0;
        while t < length {
            let phase = (walked + t) % PERIOD;
            let step = if phase < ON { ON - phase } else { PERIOD - phase }.max(0.5);
            let end = (t + step).min(length);
            if phase < ON {
                cuts.push(vec![point(t), point(end)]);
            }
            t = end;
        }
        walked += length;
    }
    cuts
}

/// Names at the right edge, moved apart where curves end close to each other, with a thin line to
/// each end.
fn labels(root: &Canvas, mut ends: Vec<((i32, i32), &Series)>) -> Result<()> {
    ends.sort_by_key(|(end, _)| end.1);
    let mut heights: Vec<i32> = ends.iter().map(|(end, _)| end.1).collect();
    spread(&mut heights, PLOT.1 + 4, PLOT.3 + 20);
    for ((end, s), y) in ends.into_iter().zip(heights) {
        let path = vec![(end.0 + 5, end.1), (PLOT.2 + 14, y), (PLOT.2 + 20, y)];
        let thin = s.color.mix(0.45).stroke_width(1);
        root.draw(&PathElement::new(path, thin)).map_err(draw)?;
        let style = text(14, s.color, HPos::Left, VPos::Center);
        let style = if s.bold { style_bold(s.color) } else { style };
        root.draw_text(&s.name, &style, (PLOT.2 + 24, y)).map_err(draw)?;
    }
    Ok(())
}

fn style_bold(color: RGBColor) -> TextStyle<'static> {
    let font = (FONT, 14, FontStyle::Bold).into_font();
    font.color(&color).pos(Pos::new(HPos::Left, VPos::Center))
}

/// Moves sorted heights apart to at least one label's height each, and up again if the last fell
/// off `bottom`.
fn spread(heights: &mut [i32], top: i32, bottom: i32) {
    let mut least = top;
    for h in heights.iter_mut() {
        *h = (*h).max(least);
        least = *h + LABEL_HEIGHT;
    }
    let mut most = bottom;
    for h in heights.iter_mut().rev() {
        *h = (*h).min(most);
        most = *h - LABEL_HEIGHT;
    }
}

/// Draws horizontal bars on one scale, the longest or `most` at full length.
pub fn bars(bars: &[Bar], most: Option<f64>) -> Result<String> {
    const ROW: i32 = 26;
    const NAMES: i32 = 210;
    const LENGTH: i32 = 590;
    let height = ROW * bars.len() as i32 + 8;
    let longest = || bars.iter().map(|b| b.value).fold(f64::MIN_POSITIVE, f64::max);
    let most = most.unwrap_or_else(longest);
    let mut svg = String::new();
    {
        let root =
            SVGBackend::with_string(&mut svg, (WIDTH as u32, height as u32)).into_drawing_area();
        root.fill(&WHITE).map_err(draw)?;
        for (i, bar) in bars.iter().enumerate() {
            let top = i as i32 * ROW + 4;
            let middle = top + ROW / 2;
            let length = ((bar.value / most) * f64::from(LENGTH)).round().max(1.0) as i32;
            let corners = [(NAMES, top + 4), (NAMES + length, top + ROW - 4)];
            root.draw(&Rectangle::new(corners, bar.color.filled())).map_err(draw)?;
            let name = text(14, INK, HPos::Right, VPos::Center);
            root.draw_text(&bar.name, &name, (NAMES - 10, middle)).map_err(draw)?;
            let value = text(14, FAINT, HPos::Left, VPos::Center);
            root.draw_text(&bar.text, &value, (NAMES + length + 8, middle)).map_err(draw)?;
        }
        root.present().map_err(draw)?;
    }
    Ok(scalable(&svg, WIDTH, height))
}

/// Lets the page decide the width.
fn scalable(svg: &str, width: i32, height: i32) -> String {
    let fixed = format!("<svg width=\"{width}\" height=\"{height}\"");
    svg.replacen(&fixed, "<svg width=\"100%\"", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_move_apart_and_stay_inside() {
        let mut heights = vec![10, 12, 13, 300];
        spread(&mut heights, 4, 310);
        assert_eq!(heights, [10, 28, 46, 300]);
        let mut low = vec![300, 305, 309];
        spread(&mut low, 4, 310);
        assert_eq!(low, [274, 292, 310]);
    }

    #[test]
    fn ticks_are_round_and_inside() {
        let axis = log_axis("x", [10.0, 800.0].into_iter(), |v| v.to_string());
        assert_eq!(axis.ticks(), [10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0]);
        let linear = Axis { label: "", lo: 0.6, hi: 1.0, log: false, show: |v| v.to_string() };
        assert_eq!(linear.ticks().len(), 9);
    }

    #[test]
    fn a_chart_of_nothing_is_still_a_chart() {
        let y = log_axis("y", std::iter::empty(), |v| v.to_string());
        let x = Axis { label: "x", lo: 0.0, hi: 1.0, log: false, show: |v| v.to_string() };
        assert!(curves(&x, &y, &[]).unwrap().starts_with("<svg"));
        assert!(bars(&[], None).unwrap().starts_with("<svg"));
    }
}
