//! The frame of a page, and what stands in it.

use std::fmt::Write;

const STYLE: &str = "
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, 'DejaVu Sans', sans-serif; color: #1f2937; background: #fff;
  max-width: 1040px; margin: 2.5rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.9rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .2rem; }
p.note, ul.run { color: #4b5563; font-size: .92rem; margin: .1rem 0 .7rem; }
p.good, p.bad { padding: .5rem .8rem; border-left: 4px solid #15803d; background: #f0fdf4; }
p.bad { border-color: #b45309; background: #fffbeb; }
ul.run { padding-left: 1.1rem; }
figure { margin: 0; overflow-x: auto; }
svg { display: block; max-width: 100%; min-width: 44rem; height: auto; }
div.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .22rem .7rem; text-align: right; border-bottom: 1px solid #e5e7eb; white-space: nowrap; }
th { color: #4b5563; font-weight: 600; border-bottom: 2px solid #d1d5db; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
td.no { color: #9ca3af; }
table.words td, table.words th { text-align: left; }
tr.chosen td { background: #fff7ed; font-weight: 600; }
details summary { cursor: pointer; font-size: 1.2rem; font-weight: 700; margin: 2.4rem 0 .2rem; }
";

/// The beginning of a page, up to its main heading.
pub fn begin(title: &str, heading: &str) -> String {
    let (title, heading) = (escape(title), escape(heading));
    let mut out = String::from("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    let _ =
        write!(out, "<title>{title}</title><style>{STYLE}</style></head><body><h1>{heading}</h1>");
    out
}

/// The end of a page.
pub const END: &str = "</body></html>\n";

/// A list of short lines.
pub fn list(out: &mut String, lines: &[String]) {
    out.push_str("<ul class=\"run\">");
    for line in lines {
        let _ = write!(out, "<li>{}</li>", escape(line));
    }
    out.push_str("</ul>");
}

/// A chart under its title.
pub fn figure(out: &mut String, title: &str, caption: &str, svg: &str) {
    let (title, caption) = (escape(title), escape(caption));
    let _ = write!(out, "<h2>{title}</h2><p class=\"note\">{caption}</p><figure>{svg}</figure>");
}

/// Text for a place between tags or in a quoted attribute.
pub fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;")
}

/// Rows of numbers under a header; the first cell of a row is its name.
pub fn table<'a>(
    out: &mut String,
    header: &[&str],
    rows: impl IntoIterator<Item = (&'a str, Vec<String>)>,
) {
    out.push_str("<div class=\"wide\"><table><tr>");
    cells(out, header, rows);
}

/// Rows of words.
pub fn words(out: &mut String, header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    out.push_str("<div class=\"wide\"><table class=\"words\"><tr>");
    cells(out, header, rows.into_iter().map(|row| ("", row)));
}

fn cells<'a>(
    out: &mut String,
    header: &[&str],
    rows: impl IntoIterator<Item = (&'a str, Vec<String>)>,
) {
    for cell in header {
        let _ = write!(out, "<th>{}</th>", escape(cell));
    }
    out.push_str("</tr>");
    for (class, cells) in rows {
        let _ = write!(out, "<tr class=\"{class}\">");
        for cell in cells {
            let _ = write!(out, "<td>{}</td>", escape(&cell));
        }
        out.push_str("</tr>");
    }
    out.push_str("</table></div>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_text_becomes_a_tag() {
        let mut page = begin("a & b", "<script>");
        list(&mut page, &["x<y".to_owned()]);
        table(&mut page, &["\""], [("", vec!["<b>".to_owned()])]);
        words(&mut page, &[], [vec!["<i>".to_owned()]]);
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script"));
        assert!(page.contains("x&lt;y") && page.contains("<td>&lt;b&gt;</td>"));
        assert!(page.contains("<th>&quot;</th>") && page.contains("<td>&lt;i&gt;</td>"));
    }
}
