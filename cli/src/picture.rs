//! A block's schedule as SVG: workers and their runs over time, and below who needed whom.
use serde_json::Value;
use std::fmt::Write as _;

/// Runs and arcs drawn, at most; more cannot be told apart.
const DRAWN_MAX: usize = 5_000;
const WIDTH: f64 = 1200.0;
const LEFT: f64 = 70.0;
const ROW: f64 = 26.0;
const GRAPH: f64 = 260.0;

/// Draws the answer of `braid_blockParallelism`.
pub(crate) fn draw(told: &Value) -> String {
    let number = |value: &Value| value.as_f64().unwrap_or(0.0);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (schedule, txs) = (&told["schedule"], list(&told["transactions"]));
    let cores = schedule["cores"].as_u64().unwrap_or(1).clamp(1, 1024) as usize;
    let end = number(&schedule["endNs"]).max(1.0);
    let critical: Vec<u64> = list(&told["critical"]).iter().filter_map(Value::as_u64).collect();
    let (top, rows) = (64.0, ROW * cores as f64);
    let base = top + rows + GRAPH;
    let height = base + 50.0;
    let mut out = String::new();
    let title = format!(
        "block {}: {} transactions, {:.0} us serial, {:.0} us on {cores} cores (simulated, without overhead)",
        told["height"],
        txs.len(),
        number(&told["serialNs"]) / 1e3,
        end / 1e3,
    );
    let _ = write!(
        out,
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{height}" viewBox="0 0 {w} {height}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="{LEFT}" y="22" font-size="15">{title}</text>
<text x="{LEFT}" y="44" fill="#555">blue: runs that count, dark: on the critical path, red: runs for nothing; below: who needed whom, by place in the block</text>
"##,
        w = WIDTH + LEFT + 20.0,
    );
    for worker in 0..cores {
        let y = top + ROW * worker as f64;
        let _ = writeln!(
            out,
            r##"<text x="8" y="{:.1}" fill="#555">core {worker}</text>"##,
            y + 17.0
        );
    }
    for run in list(&schedule["runs"]).iter().take(DRAWN_MAX) {
        let job = run[1].as_u64().unwrap_or(0);
        let x = LEFT + number(&run[2]) / end * WIDTH;
        let width = ((number(&run[3]) - number(&run[2])) / end * WIDTH).max(0.5);
        let y = top + ROW * number(&run[0]);
        let colour = if run[4] == true {
            "#d9534f"
        } else if critical.contains(&job) {
            "#1f4e8c"
        } else {
            "#7fb0e6"
        };
        let to = txs
            .get(job as usize)
            .and_then(|tx| tx["to"].as_str())
            .unwrap_or("");
        let _ = writeln!(
            out,
            r##"<rect x="{x:.2}" y="{y:.1}" width="{width:.2}" height="{h}" fill="{colour}" stroke="#ffffff" stroke-width="0.3"><title>transaction {job} {to}, {us:.1} us</title></rect>"##,
            h = ROW - 4.0,
            to = escape(to),
            us = (number(&run[3]) - number(&run[2])) / 1e3,
        );
    }
    let step = WIDTH / txs.len().max(1) as f64;
    let place = |job: f64| LEFT + (job + 0.5) * step;
    let mut arcs = 0;
    for (job, tx) in txs.iter().enumerate() {
        for on in list(&tx["needs"]).iter().filter_map(Value::as_u64) {
            arcs += 1;
            if arcs > DRAWN_MAX {
                break;
            }
            let (from, to) = (place(on as f64), place(job as f64));
            let up = base - ((to - from) / WIDTH * GRAPH * 2.0).clamp(8.0, GRAPH * 1.8);
            let on_path = critical.windows(2).any(|pair| pair == [on, job as u64]);
            let (colour, thick) = if on_path {
                ("#1f4e8c", 1.6)
            } else {
                ("#999999", 0.6)
            };
            let _ = writeln!(
                out,
                r##"<path d="M{from:.1} {base:.1} Q{mid:.1} {up:.1} {to:.1} {base:.1}" fill="none" stroke="{colour}" stroke-width="{thick}"><title>{job} needs {on}</title></path>"##,
                mid = (from + to) / 2.0,
            );
        }
    }
    for job in 0..txs.len().min(DRAWN_MAX) {
        let _ = writeln!(
            out,
            r##"<circle cx="{:.1}" cy="{base:.1}" r="{:.1}" fill="#333"><title>transaction {job}</title></circle>"##,
            place(job as f64),
            (step / 3.0).clamp(0.5, 3.0),
        );
    }
    let _ = writeln!(
        out,
        r##"<text x="{LEFT}" y="{:.1}" fill="#555">transactions in block order</text>
</svg>"##,
        base + 24.0
    );
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_and_need_is_drawn_and_text_is_escaped() {
        let svg = draw(&crate::debug::example());
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert_eq!(svg.matches("<rect ").count(), 1 + 4);
        assert_eq!(svg.matches("#d9534f").count(), 1);
        assert_eq!(svg.matches("<path ").count(), 1);
        assert_eq!(svg.matches("<circle ").count(), 3);
        assert!(svg.contains("0xaa&lt;") && !svg.contains("0xaa<"));
        assert!(draw(&Value::Null).ends_with("</svg>\n"));
    }
}
