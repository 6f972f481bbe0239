# The words a developer types; CI types the same. `just` lists them.

set shell := ["bash", "-euo", "pipefail", "-c"]

# Pipeline files and tests look for plugins in this folder, wherever the machine builds otherwise.
export CARGO_TARGET_DIR := justfile_directory() / "target"

plugins := "--release --manifest-path plugins/Cargo.toml"
wasm := "wasm32-unknown-unknown"

[private]
default:
    @just --list --unsorted

# See what is missing on this machine and how to get it; adds the WebAssembly target
setup:
    #!/usr/bin/env bash
    set -euo pipefail
    missing() {
        echo "missing: $1" >&2
        printf '  %-18s %s\n' "Debian, Ubuntu:" "$2" "Fedora:" "$3" "macOS:" "$4" >&2
        exit 1
    }
    command -v cargo > /dev/null || missing "cargo, Rust's build tool" \
        "see https://rustup.rs" "see https://rustup.rs" "see https://rustup.rs"
    # SQLite is compiled from C, and Rust links with it, too.
    "${CC:-cc}" --version > /dev/null 2>&1 || missing "a C compiler (${CC:-cc})" \
        "sudo apt-get install build-essential" "sudo dnf install gcc" "xcode-select --install"
    # In this folder rustc is the pinned one; rustup fetches it here if need be.
    library="$(rustc --print sysroot)/lib/rustlib/{{ wasm }}/lib"
    if compgen -G "$library/libstd-*.rlib" > /dev/null; then
        exit 0
    fi
    if command -v rustup > /dev/null; then
        rustup target add {{ wasm }}
    else
        echo "missing: Rust's standard library for {{ wasm }}, in $library" >&2
        echo "  install it where your Rust came from, or take Rust from https://rustup.rs" >&2
        exit 1
    fi

# Build the plugins as WebAssembly components
plugins: setup
    cargo build --locked {{ plugins }} --target {{ wasm }}

# Build the program: target/release/pawl
build: setup
    cargo build --locked --release -p pawl

# Find the collision of 2009, undisturbed and with kills on the way
demo *arguments: plugins build
    target/release/pawl demo {{ arguments }}

# Find every pass of ten minutes among the 26,834 objects on orbit, and compare with the truth
catalogue *options: plugins build
    #!/usr/bin/env bash
    set -euo pipefail
    pawl="$PWD/target/release/pawl" pipeline=pipelines/conjunctions.toml
    folder="$(mktemp -d)"
    trap 'rm -rf "$folder"' EXIT
    here=(--set "data=$folder/data")
    "$pawl" demo observations --catalogue --start 2024-10-31T23:59:30Z --duration 660 \
        --sensors 1 {{ options }} | "$pawl" produce -p "$pipeline" "${here[@]}" observations
    time PAWL_LOG=warn "$pawl" run "$pipeline" "${here[@]}" --close-windows
    "$pawl" consume -p "$pipeline" "${here[@]}" alerts | "$pawl" demo compare

# Everything that can be tested here
test: lint plugins
    cargo test --locked --release --workspace
    # In a folder of its own: the benchmarks link the plugins as native code, too, and cargo gives
    # both builds of a plugin one name.
    cargo test --locked {{ plugins }} --target-dir "$CARGO_TARGET_DIR/plugins"

# Formatting, lints and documentation, all without a warning
lint: setup
    cargo fmt --all --check
    cargo fmt --manifest-path plugins/Cargo.toml --all --check
    cargo clippy --locked --release --workspace --all-targets -- -D warnings
    cargo clippy --locked {{ plugins }} --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --release --workspace --no-deps --document-private-items

# Measure: all parts, or those that are named (`just bench ladder pass`); `--json` for machines
bench *arguments: plugins build
    cargo run --locked --release -p pawl-bench -- {{ arguments }}

# Build the book of `docs/` into `book/`
book:
    #!/usr/bin/env bash
    set -euo pipefail
    if ! command -v mdbook > /dev/null; then
        echo "missing: mdbook, which makes a book of docs/" >&2
        echo "  cargo install --locked mdbook" >&2
        echo "  the pages can be read as they are: docs/SUMMARY.md lists them" >&2
        exit 1
    fi
    mdbook build docs
    echo "book/index.html"

# Licenses, sources and duplicates of what we depend on (needs `cargo install --locked cargo-deny`)
deny:
    cargo deny check licenses bans sources
    cargo deny --manifest-path plugins/Cargo.toml --config deny.toml check licenses bans sources
