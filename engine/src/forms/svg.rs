//! The wait graph as a picture: columns from those who wait to what they wait for.

use super::html::escaped;
use crate::document::{Edge, Node, NodeKind, WaitGraph};
use std::fmt::Write;

/// Size of a box and of the space between boxes, pixels.
const WIDTH: usize = 220;
const HEIGHT: usize = 44;
const GAP_X: usize = 70;
const GAP_Y: usize = 22;
const MARGIN: usize = 12;
/// Characters that fit into a box.
const LABEL: usize = 28;
const DETAIL: usize = 32;

/// An `<svg>` element; empty text for an empty graph. `id` tells the pictures of one page apart: letters and digits.
#[must_use]
pub fn svg(graph: &WaitGraph, id: &str) -> String {
    if graph.is_empty() {
        return String::new();
    }
    let places = places(graph);
    let columns = places.iter().map(|p| p.0).max().unwrap_or(0).saturating_add(1);
    let rows = places.iter().map(|p| p.1).max().unwrap_or(0).saturating_add(1);
    let width = 2 * MARGIN + columns * WIDTH + (columns - 1) * GAP_X;
    // Arrows that lead back run below the boxes.
    let below = if graph.edges.iter().any(|e| leads_back(e, &places)) { 2 * GAP_Y } else { 0 };
    let height = 2 * MARGIN + rows * HEIGHT + (rows - 1) * GAP_Y + below;
    let mut out = String::new();
    let _ = write!(
        out,
        "<svg class=\"graph\" role=\"img\" aria-label=\"Who waits for whom\" xmlns=\"http://www.w3.org/2000/svg\" \
         viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">\n\
         <defs><marker id=\"arrow-{id}\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"7\" \
         markerHeight=\"7\" orient=\"auto-start-reverse\"><path class=\"head\" d=\"M0 0L10 5L0 10z\"/></marker></defs>\n"
    );
    for e in &graph.edges {
        arrow(&mut out, e, &places, graph, id);
    }
    for (node, place) in graph.nodes.iter().zip(&places) {
        node_box(&mut out, node, *place);
    }
    out.push_str("</svg>\n");
    out
}

/// Column and row of each box. A box stands right of all that wait for it; arrows that close a circle do not count.
fn places(graph: &WaitGraph) -> Vec<(usize, usize)> {
    let count = graph.nodes.len();
    let mut column = vec![0usize; count];
    // Longest path; a circle would grow for ever, so no box gets past the number of boxes in its own part: the
    // arrows that close circles are left out first.
    let forward = forward(graph);
    for _ in 0..count {
        let mut moved = false;
        for e in &forward {
            let want = column.get(e.from).map_or(0, |c| c.saturating_add(1));
            if let Some(at) = column.get_mut(e.to).filter(|at| **at < want) {
                *at = want;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    let mut filled: Vec<usize> = vec![0; count.saturating_add(1)];
    column
        .into_iter()
        .map(|c| {
            let row = filled.get(c).copied().unwrap_or(0);
            if let Some(f) = filled.get_mut(c) {
                *f = row.saturating_add(1);
            }
            (c, row)
        })
        .collect()
}

/// The arrows without those that close a circle, found by a walk in the order of the boxes.
fn forward(graph: &WaitGraph) -> Vec<Edge> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; graph.nodes.len()];
    let mut kept = Vec::new();
    // Boxes that nobody waits for first: the picture starts with them.
    let waited_for = |n: usize| graph.edges.iter().any(|e| e.to == n);
    let mut starts: Vec<usize> = (0..graph.nodes.len()).collect();
    starts.sort_by_key(|&n| waited_for(n));
    for start in starts {
        if marks.get(start) != Some(&Mark::New) {
            continue;
        }
        // A stack of our own: box, and which of its arrows comes next.
        let mut stack = vec![(start, 0usize)];
        if let Some(m) = marks.get_mut(start) {
            *m = Mark::Open;
        }
        while let Some((node, next)) = stack.pop() {
            let Some(edge) = graph.edges.iter().filter(|e| e.from == node).nth(next) else {
                if let Some(m) = marks.get_mut(node) {
                    *m = Mark::Done;
                }
                continue;
            };
            stack.push((node, next.saturating_add(1)));
            match marks.get(edge.to) {
                Some(Mark::Open) | None => {}
                Some(Mark::Done) => kept.push(*edge),
                Some(Mark::New) => {
                    kept.push(*edge);
                    if let Some(m) = marks.get_mut(edge.to) {
                        *m = Mark::Open;
                    }
                    stack.push((edge.to, 0));
                }
            }
        }
    }
    kept
}

fn corner(place: (usize, usize)) -> (usize, usize) {
    (MARGIN + place.0 * (WIDTH + GAP_X), MARGIN + place.1 * (HEIGHT + GAP_Y))
}

fn leads_back(e: &Edge, places: &[(usize, usize)]) -> bool {
    match (places.get(e.from), places.get(e.to)) {
        (Some(from), Some(to)) => to.0 <= from.0,
        _ => false,
    }
}

fn arrow(out: &mut String, e: &Edge, places: &[(usize, usize)], graph: &WaitGraph, id: &str) {
    let (Some(&from), Some(&to)) = (places.get(e.from), places.get(e.to)) else { return };
    let ((x1, y1), (x2, y2)) = (corner(from), corner(to));
    let path = if leads_back(e, places) {
        // Out of the bottom, below everything between, into the bottom.
        let (a, b) = (x1 + WIDTH / 2, x2 + WIDTH / 2);
        let (y1, y2) = (y1 + HEIGHT, y2 + HEIGHT);
        let low = y1.max(y2) + 2 * GAP_Y;
        format!("M{a} {y1}C{a} {low} {b} {low} {b} {y2}")
    } else {
        let (x1, y1, y2) = (x1 + WIDTH, y1 + HEIGHT / 2, y2 + HEIGHT / 2);
        let middle = (x1 + x2) / 2;
        format!("M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}")
    };
    let class = e.confidence.name();
    let label = |n: usize| graph.nodes.get(n).map(|n| escaped(&n.label)).unwrap_or_default();
    let kind = |n: usize| graph.nodes.get(n).map(|n| n.kind);
    let gone = kind(e.to) == Some(NodeKind::GoneThread);
    let (verb, end) = match kind(e.from) {
        Some(NodeKind::Lock) if gone => ("was held by", ", which no longer exists"),
        Some(NodeKind::Lock) => ("is held by", ""),
        _ => ("waits for", ""),
    };
    let _ = writeln!(
        out,
        "<path class=\"edge {class}\" d=\"{path}\" marker-end=\"url(#arrow-{id})\"><title>{} {verb} {}{end} ({class})\
         </title></path>",
        label(e.from),
        label(e.to)
    );
}

fn node_box(out: &mut String, node: &Node, place: (usize, usize)) {
    let (x, y) = corner(place);
    let class = match node.kind {
        NodeKind::Thread => "thread",
        NodeKind::GoneThread => "gone",
        NodeKind::Lock => "lock",
        NodeKind::Process => "process",
    };
    let culprit = if node.culprit { " culprit" } else { "" };
    let _ = writeln!(
        out,
        "<g class=\"node {class}{culprit}\"><title>{} {}</title><rect x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" \
         height=\"{HEIGHT}\" rx=\"6\"/><text x=\"{}\" y=\"{}\">{}</text><text class=\"detail\" x=\"{}\" y=\"{}\">{}\
         </text></g>",
        escaped(&node.label),
        escaped(&node.detail),
        x + 10,
        y + 18,
        escaped(&short(&node.label, LABEL)),
        x + 10,
        y + 35,
        escaped(&short(&node.detail, DETAIL)),
    );
}

/// The start of a text, with `…` where it was cut.
fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(most.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Confidence;

    fn graph(edges: &[(usize, usize)], nodes: usize) -> WaitGraph {
        let node = |n| Node {
            kind: NodeKind::Thread,
            label: format!("<{n}>"),
            detail: String::new(),
            culprit: n == 0,
        };
        let edge = |&(from, to)| Edge { from, to, confidence: Confidence::Proven };
        WaitGraph {
            nodes: (0..nodes).map(node).collect(),
            edges: edges.iter().map(edge).collect(),
            left_out: 0,
        }
    }

    #[test]
    fn chains_go_from_left_to_right() {
        let g = graph(&[(0, 1), (1, 2), (3, 1)], 4);
        assert_eq!(places(&g), [(0, 0), (1, 0), (2, 0), (0, 1)]);
        let text = svg(&g, "a");
        assert!(text.contains("&lt;0&gt;") && !text.contains("<0>"));
        assert_eq!(text.matches("<path class=\"edge proven\"").count(), 3);
        assert_eq!(text.matches("class=\"node thread culprit\"").count(), 1);
    }

    #[test]
    fn circles_end() {
        let g = graph(&[(0, 1), (1, 2), (2, 3), (3, 0), (4, 0)], 5);
        assert_eq!(places(&g), [(1, 0), (2, 0), (3, 0), (4, 0), (0, 0)]);
        assert!(svg(&g, "a").contains("0 0 "));
        // A box that waits for itself.
        assert_eq!(places(&graph(&[(0, 0)], 1)), [(0, 0)]);
        assert!(svg(&graph(&[], 3), "a").is_empty());
    }
}
