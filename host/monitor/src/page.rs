//! The live page, part of the program: no file, no network and no build step is needed to see it.

/// A file of the page.
pub(crate) struct Asset {
    pub name: &'static str,
    pub media_type: &'static str,
    pub bytes: &'static [u8],
}

/// All of them but the page itself.
pub(crate) const ASSETS: [Asset; 2] = [
    Asset {
        name: "style.css",
        media_type: "text/css; charset=utf-8",
        bytes: include_bytes!("../page/style.css"),
    },
    Asset {
        name: "page.js",
        media_type: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../page/page.js"),
    },
];

/// The page itself.
pub(crate) const INDEX: &[u8] = include_bytes!("../page/index.html");
