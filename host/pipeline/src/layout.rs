//! A TOML text as its lines: headers, fields and the comments that a table does not hold. Only for
//! texts that were read as a table before; of any other nothing is promised, but that it ends.

use toml_parser::Source;
use toml_parser::parser::{Event, EventKind, parse_document};

/// What stands on a line of its own, or begins there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'t> {
    /// Nothing.
    Blank,
    /// A comment alone, with its `#`.
    Comment(&'t str),
    /// `[path]` or `[[path]]`.
    Header { text: String, comment: Option<&'t str> },
    /// `key = value`.
    Field { key: String, node: Node<'t>, comment: Option<&'t str> },
}

/// A value as it is written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Node<'t> {
    /// A single value, as it stands in the file.
    Scalar(&'t str),
    /// `[ ... ]`
    List(List<'t>),
    /// `{ ... }`
    Table(List<'t>),
}

/// What stands between brackets.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct List<'t> {
    pub items: Vec<Item<'t>>,
    /// Comments behind the last item.
    pub trailing: Vec<&'t str>,
}

/// One item between brackets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Item<'t> {
    /// Comments on lines of their own before it.
    pub before: Vec<&'t str>,
    /// Its key, between braces.
    pub key: Option<String>,
    /// Its value.
    pub node: Node<'t>,
    /// The comment on its line.
    pub behind: Option<&'t str>,
}

impl Node<'_> {
    /// Whether comments stand anywhere within, so that it needs more than one line.
    pub(crate) fn has_comments(&self) -> bool {
        match self {
            Node::Scalar(_) => false,
            Node::List(list) | Node::Table(list) => {
                let of_item = |item: &Item<'_>| {
                    !item.before.is_empty() || item.behind.is_some() || item.node.has_comments()
                };
                !list.trailing.is_empty() || list.items.iter().any(of_item)
            }
        }
    }
}

/// The lines of a text.
pub(crate) fn lines(text: &str) -> Vec<Line<'_>> {
    let tokens = Source::new(text).lex().into_vec();
    let mut events = Vec::new();
    let mut receive = |event: Event| events.push(event);
    parse_document(&tokens, &mut receive, &mut ());
    let mut reader = Reader { text, events: events.iter(), next: None };
    reader.advance();
    let mut lines = Vec::new();
    let mut begun = false;
    while let Some(event) = reader.next {
        match event.kind() {
            EventKind::Newline => {
                if !begun {
                    lines.push(Line::Blank);
                }
                begun = false;
                reader.advance();
            }
            EventKind::Comment => {
                lines.push(Line::Comment(reader.shown(event).trim_end()));
                begun = true;
                reader.advance();
            }
            EventKind::StdTableOpen | EventKind::ArrayTableOpen => {
                let text = reader.header();
                lines.push(Line::Header { text, comment: reader.comment_on_line() });
                begun = true;
            }
            EventKind::SimpleKey => {
                let key = reader.key();
                let node = reader.value();
                lines.push(Line::Field { key, node, comment: reader.comment_on_line() });
                begun = true;
            }
            _ => reader.advance(),
        }
    }
    lines
}

struct Reader<'t, 'e> {
    text: &'t str,
    events: std::slice::Iter<'e, Event>,
    next: Option<&'e Event>,
}

impl<'t> Reader<'t, '_> {
    fn advance(&mut self) {
        self.next = self.events.next();
    }

    fn kind(&self) -> Option<EventKind> {
        self.next.map(Event::kind)
    }

    fn shown(&self, event: &Event) -> &'t str {
        let span = event.span();
        self.text.get(span.start()..span.end()).unwrap_or_default()
    }

    fn skip(&mut self, skipped: impl Fn(EventKind) -> bool) {
        while self.kind().is_some_and(&skipped) {
            self.advance();
        }
    }

    /// A header with its brackets, without white space in it.
    fn header(&mut self) -> String {
        let mut text = String::new();
        while let Some(event) = self.next {
            if event.kind() == EventKind::Newline {
                break;
            }
            if event.kind() != EventKind::Whitespace {
                text.push_str(self.shown(event));
            }
            self.advance();
            if matches!(event.kind(), EventKind::StdTableClose | EventKind::ArrayTableClose) {
                break;
            }
        }
        text
    }

    /// A key with its dots, up to behind the `=`.
    fn key(&mut self) -> String {
        let mut text = String::new();
        while let Some(event) = self.next {
            self.advance();
            match event.kind() {
                EventKind::KeyValSep => break,
                EventKind::SimpleKey | EventKind::KeySep => text.push_str(self.shown(event)),
                _ => {}
            }
        }
        text
    }

    fn value(&mut self) -> Node<'t> {
        self.skip(|kind| matches!(kind, EventKind::Whitespace | EventKind::Newline));
        let Some(event) = self.next else { return Node::Scalar("") };
        self.advance();
        match event.kind() {
            EventKind::ArrayOpen => Node::List(self.list(EventKind::ArrayClose)),
            EventKind::InlineTableOpen => Node::Table(self.list(EventKind::InlineTableClose)),
            _ => Node::Scalar(self.shown(event)),
        }
    }

    /// Up to behind the bracket that closes it.
    fn list(&mut self, close: EventKind) -> List<'t> {
        let mut list = List::default();
        let mut before = Vec::new();
        // Whether a comment that comes stands on the line of the item before.
        let mut on_line = false;
        while let Some(event) = self.next {
            match event.kind() {
                kind if kind == close => {
                    self.advance();
                    break;
                }
                EventKind::Comment => {
                    let comment = self.shown(event).trim_end();
                    match list.items.last_mut().filter(|item| on_line && item.behind.is_none()) {
                        Some(item) => item.behind = Some(comment),
                        None => before.push(comment),
                    }
                    self.advance();
                }
                EventKind::Newline => {
                    on_line = false;
                    self.advance();
                }
                EventKind::SimpleKey | EventKind::Scalar => {
                    let key = (event.kind() == EventKind::SimpleKey).then(|| self.key());
                    let node = self.value();
                    let before = std::mem::take(&mut before);
                    list.items.push(Item { before, key, node, behind: None });
                    on_line = true;
                }
                EventKind::ArrayOpen | EventKind::InlineTableOpen => {
                    let node = self.value();
                    let before = std::mem::take(&mut before);
                    list.items.push(Item { before, key: None, node, behind: None });
                    on_line = true;
                }
                _ => self.advance(),
            }
        }
        list.trailing = before;
        list
    }

    /// The comment behind a header or a value.
    fn comment_on_line(&mut self) -> Option<&'t str> {
        self.skip(|kind| kind == EventKind::Whitespace);
        let event = self.next.filter(|event| event.kind() == EventKind::Comment)?;
        self.advance();
        Some(self.shown(event).trim_end())
    }
}
