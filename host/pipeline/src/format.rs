//! The one layout of pipeline files: `pawl fmt`. Comments, the order of fields and how values are
//! written stay as they are; only white space, line breaks and blank lines change.
//!
//! One blank line stands before each header (before the comment above it), none behind it, and
//! never two. A list that does not fit into a line has a line for each item. Nothing is lost: the
//! result is read again, and refused if it is not the same table.

use crate::layout::{Line, Node, lines};
use crate::mistake::Mistakes;
use crate::text;

/// Characters of a line, where its values permit.
const WIDTH_MAX: usize = 100;

const INDENT: usize = 4;

/// Lays a pipeline file out. Formatting the result again changes nothing. Errors: the text is no
/// TOML.
pub fn format(text: &str) -> Result<String, Mistakes> {
    let table = text::table(text)?;
    let mut blocks: Vec<Block> = Vec::new();
    for line in lines(text) {
        match line {
            Line::Blank => blank(&mut blocks),
            Line::Comment(comment) => blocks.push(Block::Comment(comment.to_owned())),
            Line::Header { text, comment } => {
                separate(&mut blocks);
                blocks.push(Block::Header(with_comment(text, comment)));
            }
            Line::Field { key, node, comment } => {
                let value = value(&node, 0, key.chars().count() + " = ".len());
                blocks.push(Block::Field(with_comment(format!("{key} = {value}"), comment)));
            }
        }
    }
    while blocks.last().is_some_and(|block| matches!(block, Block::Blank)) {
        blocks.pop();
    }
    let text: String = blocks.iter().map(|block| format!("{}\n", block.text())).collect();
    match text::table(&text) {
        Ok(again) if again == table => Ok(text),
        _ => Err(Mistakes::whole_file(
            "could not be formatted without changing what it says; it is left alone, please report \
             it",
        )),
    }
}

/// What stands on lines of its own.
enum Block {
    Blank,
    Comment(String),
    Header(String),
    Field(String),
}

impl Block {
    fn text(&self) -> &str {
        match self {
            Block::Blank => "",
            Block::Comment(text) | Block::Header(text) | Block::Field(text) => text,
        }
    }
}

/// A blank line, where one may be.
fn blank(blocks: &mut Vec<Block>) {
    if matches!(blocks.last(), Some(Block::Comment(_) | Block::Field(_))) {
        blocks.push(Block::Blank);
    }
}

/// A blank line before the header that comes, and before the comment that stands above it.
fn separate(blocks: &mut Vec<Block>) {
    let comments = blocks.iter().rev().take_while(|block| matches!(block, Block::Comment(_)));
    let at = blocks.len() - comments.count();
    let before = at.checked_sub(1).and_then(|before| blocks.get(before));
    if before.is_some_and(|block| !matches!(block, Block::Blank)) {
        blocks.insert(at, Block::Blank);
    }
}

fn with_comment(text: String, comment: Option<&str>) -> String {
    match comment {
        Some(comment) => format!("{text} {comment}"),
        None => text,
    }
}

/// A value that begins behind `before` characters of a line that is indented by `indent`.
fn value(node: &Node<'_>, indent: usize, before: usize) -> String {
    let flat = (!node.has_comments()).then(|| flat(node));
    match (flat, node) {
        (Some(flat), Node::Scalar(_) | Node::Table(_)) => flat,
        (Some(flat), Node::List(_)) if indent + before + flat.chars().count() <= WIDTH_MAX => flat,
        (_, Node::List(list)) => broken(list, ('[', ']'), indent),
        (_, Node::Table(list)) => broken(list, ('{', '}'), indent),
        (None, Node::Scalar(text)) => (*text).to_owned(),
    }
}

/// On one line.
fn flat(node: &Node<'_>) -> String {
    let inner = |list: &crate::layout::List<'_>| {
        let items = list.items.iter().map(|item| match &item.key {
            Some(key) => format!("{key} = {}", flat(&item.node)),
            None => flat(&item.node),
        });
        items.collect::<Vec<_>>().join(", ")
    };
    match node {
        Node::Scalar(text) => (*text).to_owned(),
        Node::List(list) => format!("[{}]", inner(list)),
        Node::Table(list) if list.items.is_empty() => "{}".to_owned(),
        Node::Table(list) => format!("{{ {} }}", inner(list)),
    }
}

/// A line for each item, and for each comment that stands alone.
fn broken(list: &crate::layout::List<'_>, (open, close): (char, char), indent: usize) -> String {
    let inner = indent + INDENT;
    let mut text = format!("{open}\n");
    let mut line = |what: &str| {
        text.push_str(&format!("{:inner$}{what}\n", ""));
    };
    for item in &list.items {
        item.before.iter().for_each(|comment| line(comment));
        let key = item.key.as_ref().map_or(String::new(), |key| format!("{key} = "));
        let value = value(&item.node, inner, key.chars().count() + 1);
        line(&with_comment(format!("{key}{value},"), item.behind));
    }
    list.trailing.iter().for_each(|comment| line(comment));
    text.push_str(&format!("{:indent$}{close}", ""));
    text
}
