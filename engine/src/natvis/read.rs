//! A `.natvis` file to views.

use super::{File, Node, NodeKind, Step, Text, View};
use roxmltree::{Document, Node as Xml, ParsingOptions};

/// Largest file, bytes.
pub(crate) const MAX_FILE: usize = 16 << 20;
/// Deepest nesting.
const MAX_DEPTH: usize = 32;
/// Most XML nodes.
const MAX_NODES: u32 = 1 << 20;

/// Why a file is no NatVis file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure(pub(crate) String);

/// Reads the text of a file.
pub(crate) fn read(path: &str, text: &str) -> Result<File, Failure> {
    if text.len() > MAX_FILE {
        return Err(Failure(format!("it has more than {} MB", MAX_FILE >> 20)));
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let document = Document::parse_with_options(text, options).map_err(|e| Failure(e.to_string()))?;
    let root = document.root_element();
    if root.tag_name().name() != "AutoVisualizer" {
        return Err(Failure("its first element is not AutoVisualizer".into()));
    }
    let types = elements(root).filter(|n| named(*n, "Type")).map(view).collect();
    Ok(File { path: path.to_owned(), types })
}

fn elements<'a, 'i>(node: Xml<'a, 'i>) -> impl Iterator<Item = Xml<'a, 'i>> {
    node.children().filter(Xml::is_element)
}

fn named(node: Xml<'_, '_>, name: &str) -> bool {
    node.tag_name().name() == name
}

fn attribute(node: Xml<'_, '_>, name: &str) -> Option<String> {
    node.attribute(name).map(str::to_owned)
}

fn content(node: Xml<'_, '_>) -> String {
    let text: String = node.descendants().filter(|n| n.is_text()).filter_map(|n| n.text()).collect();
    text.trim().to_owned()
}

fn child(node: Xml<'_, '_>, name: &str) -> Option<String> {
    elements(node).find(|n| named(*n, name)).map(content)
}

fn texts(node: Xml<'_, '_>, name: &str) -> Vec<Text> {
    elements(node).filter(|n| named(*n, name)).map(text).collect()
}

fn text(node: Xml<'_, '_>) -> Text {
    Text { condition: attribute(node, "Condition"), text: content(node) }
}

fn view(node: Xml<'_, '_>) -> View {
    let alternatives =
        elements(node).filter(|n| named(*n, "AlternativeType")).filter_map(|n| attribute(n, "Name"));
    let expand = elements(node).find(|n| named(*n, "Expand"));
    View {
        names: attribute(node, "Name").into_iter().chain(alternatives).collect(),
        priority: match node.attribute("Priority") {
            Some("Low") => 0,
            Some("MediumLow") => 1,
            Some("MediumHigh") => 3,
            Some("High") => 4,
            _ => 2,
        },
        // A view of another name (`IncludeView`) is not shown without being asked for.
        display: elements(node)
            .filter(|n| named(*n, "DisplayString") && !n.has_attribute("IncludeView"))
            .map(text)
            .collect(),
        hide_raw: expand
            .is_some_and(|e| e.attribute("HideRawView").is_some_and(|v| v != "false" && v != "0")),
        expand: expand.map(|e| nodes(e, 0)),
    }
}

fn nodes(parent: Xml<'_, '_>, depth: usize) -> Vec<Node> {
    if depth > MAX_DEPTH {
        return Vec::new();
    }
    elements(parent)
        .filter(|n| !n.has_attribute("IncludeView"))
        .filter_map(|n| Some(Node { condition: attribute(n, "Condition"), kind: kind(n, depth)? }))
        .collect()
}

fn kind(node: Xml<'_, '_>, depth: usize) -> Option<NodeKind> {
    let name = || attribute(node, "Name").unwrap_or_default();
    Some(match node.tag_name().name() {
        "Item" => NodeKind::Item { name: name(), expr: content(node) },
        "Synthetic" => NodeKind::Synthetic {
            name: name(),
            display: texts(node, "DisplayString"),
            expand: elements(node)
                .find(|n| named(*n, "Expand"))
                .map(|e| nodes(e, depth + 1))
                .unwrap_or_default(),
        },
        "ExpandedItem" => NodeKind::Expanded { expr: content(node) },
        "ArrayItems" => NodeKind::Array { size: texts(node, "Size"), pointer: texts(node, "ValuePointer") },
        "IndexListItems" => NodeKind::Index { size: texts(node, "Size"), value: texts(node, "ValueNode") },
        "LinkedListItems" => NodeKind::Linked {
            size: child(node, "Size"),
            head: child(node, "HeadPointer")?,
            next: child(node, "NextPointer")?,
            value: child(node, "ValueNode")?,
            name: elements(node).find(|n| named(*n, "ValueNode")).and_then(|n| attribute(n, "Name")),
        },
        "TreeItems" => {
            let value = elements(node).find(|n| named(*n, "ValueNode"))?;
            NodeKind::Tree {
                size: child(node, "Size"),
                head: child(node, "HeadPointer")?,
                left: child(node, "LeftPointer")?,
                right: child(node, "RightPointer")?,
                value: content(value),
                name: attribute(value, "Name"),
                condition: attribute(value, "Condition"),
            }
        }
        "CustomListItems" => {
            let variable = |n: Xml<'_, '_>| Some((attribute(n, "Name")?, attribute(n, "InitialValue")?));
            NodeKind::Custom {
                variables: elements(node).filter(|n| named(*n, "Variable")).filter_map(variable).collect(),
                size: child(node, "Size"),
                body: steps(node, depth + 1),
            }
        }
        _ => return None,
    })
}

fn steps(parent: Xml<'_, '_>, depth: usize) -> Vec<Step> {
    if depth > MAX_DEPTH {
        return Vec::new();
    }
    let mut out: Vec<Step> = Vec::new();
    for node in elements(parent) {
        let condition = attribute(node, "Condition");
        match node.tag_name().name() {
            "Loop" => out.push(Step::Loop { condition, body: steps(node, depth + 1) }),
            "If" => out.push(Step::If { arms: vec![(condition, steps(node, depth + 1))] }),
            "Elseif" | "ElseIf" | "Else" => {
                if let Some(Step::If { arms }) = out.last_mut() {
                    arms.push((condition, steps(node, depth + 1)));
                }
            }
            "Exec" => out.push(Step::Exec { condition, text: content(node) }),
            "Break" => out.push(Step::Break { condition }),
            "Item" => out.push(Step::Item { condition, name: attribute(node, "Name"), expr: content(node) }),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_or_refused() {
        let text = "<AutoVisualizer xmlns='x'><Type Name='A&lt;*&gt;' Priority='High'><DisplayString Condition='n'>{{ {n} }}\
                    </DisplayString><Expand><Item Name='a'>b</Item><ArrayItems><Size>n</Size><ValuePointer>p</ValuePointer>\
                    </ArrayItems><Unknown/></Expand></Type></AutoVisualizer>";
        let file = read("a.natvis", text).unwrap();
        let view = file.types.first().unwrap();
        assert_eq!((view.names.as_slice(), view.priority), (["A<*>".to_owned()].as_slice(), 4));
        assert_eq!(view.display.first().unwrap().condition.as_deref(), Some("n"));
        assert_eq!(view.expand.as_ref().unwrap().len(), 2);
        assert!(read("a", "<AutoVisualizer>").is_err());
        assert!(read("a", "<a/>").is_err());
        let bomb = "<!DOCTYPE a [<!ENTITY b 'c'>]><AutoVisualizer>&b;</AutoVisualizer>";
        assert!(read("a", bomb).is_err());
        let deep = format!(
            "<AutoVisualizer><Type Name='a'><Expand>{}</Expand></Type></AutoVisualizer>",
            "<Synthetic Name='x'><Expand>".repeat(200) + &"</Expand></Synthetic>".repeat(200)
        );
        assert!(read("a", &deep).is_ok());
    }
}
