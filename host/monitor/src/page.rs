//! The live page, part of the program: no file, no network and no build step is needed to see it.

/// A file of the page.
pub(crate) struct Asset {
    pub name: &'static str,
    pub media_type: &'static str,
    pub bytes: &'static [u8],
}

/// The files of the folder `page` with these names.
macro_rules! assets {
    ($($name:literal),*) => {
        &[$(Asset {
            name: $name,
            media_type: media_type($name),
            bytes: include_bytes!(concat!("../page/", $name)),
        }),*]
    };
}

/// All of them but the page itself.
pub(crate) const ASSETS: &[Asset] = assets![
    "style.css",
    "icon.svg",
    "page.js",
    "dom.js",
    "format.js",
    "graph.js",
    "history.js",
    "host.js",
    "layout.js",
    "letters.js",
    "problems.js",
    "refused.js",
    "signs.js",
    "status.js",
    "tables.js",
    "verdict.js"
];

/// The page itself.
pub(crate) const INDEX: &[u8] = include_bytes!("../page/index.html");

/// By how a name ends. A browser runs no script that does not say that it is one.
const fn media_type(name: &str) -> &'static str {
    match name.as_bytes() {
        [.., b'.', b'c', b's', b's'] => "text/css; charset=utf-8",
        [.., b'.', b'j', b's'] => "text/javascript; charset=utf-8",
        [.., b'.', b's', b'v', b'g'] => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_part_of_the_program() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/page");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "index.html")
            .collect();
        let mut known: Vec<&str> = ASSETS.iter().map(|asset| asset.name).collect();
        there.sort();
        known.sort_unstable();
        assert_eq!(known, there);
        assert!(ASSETS.iter().all(|asset| asset.media_type != "application/octet-stream"));
    }
}
