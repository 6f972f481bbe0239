//! The effective configuration reads back as the pipeline that it was made of.

use super::{GOOD, repository};
use crate::{Pipeline, effective, format, load, parse};
use std::path::Path;

/// A file with every field there is.
pub const MAXIMAL: &str = include_str!("maximal.toml");

fn again(pipeline: &Pipeline) -> Pipeline {
    let text = effective(pipeline);
    let read = parse(&text, &pipeline.base, &[]);
    read.unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}")).0
}

#[test]
fn every_pipeline_of_the_project_reads_back_as_it_was() {
    for entry in std::fs::read_dir(repository().join("pipelines")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let pipeline = load(&path, &[]).unwrap().0;
            assert_eq!(again(&pipeline), pipeline, "{}", path.display());
        }
    }
}

#[test]
fn the_smallest_file_and_the_one_with_every_field_read_back_as_they_were() {
    for text in [GOOD, MAXIMAL] {
        for base in ["", "base", "/an/absolute/base"] {
            let pipeline = parse(text, Path::new(base), &[]).unwrap().0;
            assert_eq!(again(&pipeline), pipeline, "in {base}");
        }
    }
}

#[test]
fn overrides_are_in_it_and_absolute_paths_stay_absolute() {
    let overrides = ["data=/elsewhere", "commit.interval_ms=3", "stage.a.late=dead-letter"];
    let overrides: Vec<String> = overrides.iter().map(|text| text.to_string()).collect();
    let pipeline = parse(GOOD, Path::new("base"), &overrides).unwrap().0;
    let text = effective(&pipeline);
    assert!(text.contains("data = \"/elsewhere\"\n"), "{text}");
    assert!(text.contains("interval_ms = 3\n"), "{text}");
    assert_eq!(again(&pipeline), pipeline);
}

#[test]
fn it_says_every_default_and_is_laid_out_as_files_are() {
    let text = effective(&parse(GOOD, Path::new(""), &[]).unwrap().0);
    for said in ["interval_ms = 30000", "late = \"drop\"", "agree = 3", "memory_bytes_max = "] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(text.contains("[topics.\"p.dlq\"]\npartitions = 2\n"), "{text}");
    assert_eq!(format(&text).unwrap(), text);
}

#[test]
fn no_secret_is_shown_and_the_file_without_it_is_still_valid() {
    let text = MAXIMAL
        .replace("url_env = \"DATABASE\"", "url = \"postgres://me:hidden1@host:5/db?x=hidden2\"")
        .replace("url_env = \"HOOK\"", "url = \"https://host/hidden3?hidden4\"")
        .replace("{ env = \"AUTHORIZATION\" }", "\"Bearer hidden5\"")
        .replace("region = \"here\"", "aws_secret_access_key = \"hidden6\"");
    let pipeline = parse(&text, Path::new(""), &[]).unwrap().0;
    let shown = effective(&pipeline);
    assert!(!shown.contains("hidden"), "{shown}");
    assert!(shown.contains("\"postgres://***@host:5/db?***\""), "{shown}");
    assert!(shown.contains("\"https://host/***?***\""), "{shown}");
    assert!(shown.contains("\"http://localhost:8080/\""), "nothing to hide: {shown}");
    assert!(shown.contains("signature_secret_env = \"SIGNATURE\""), "{shown}");
    parse(&shown, Path::new(""), &[]).unwrap();
}

#[test]
fn no_option_of_an_object_store_shows_a_secret_whatever_it_is_called() {
    for (option, shown) in [
        ("proxy_url = \"http://me:hidden1@proxy:3128\"", "\"http://***@proxy:3128\""),
        ("proxy_url = \"me:hidden1@proxy:3128\"", "\"***\""),
        ("endpoint = \"https://host/bucket?sig=hidden1\"", "\"https://host/bucket?***\""),
        ("endpoint = \"https://host/bucket\"", "\"https://host/bucket\""),
        ("azure_storage_account_name = \"hidden1\"", "\"***\""),
    ] {
        let text = MAXIMAL.replace("region = \"here\"", option);
        let text = effective(&parse(&text, Path::new(""), &[]).unwrap().0);
        assert!(!text.contains("hidden"), "{text}");
        assert!(text.contains(shown), "{shown} in {text}");
    }
}

#[test]
fn an_address_of_an_object_store_that_was_never_checked_shows_no_secret() {
    let mut pipeline = parse(MAXIMAL, Path::new(""), &[]).unwrap().0;
    let mut shown = |url: &str| {
        pipeline.checkpoint.remote.as_mut().unwrap().url = url.to_owned();
        effective(&pipeline)
    };
    let text = shown("s3://me:hidden1@bucket/folder?sig=hidden2");
    assert!(text.contains("\"s3://***@bucket/folder?***\""), "{text}");
    assert!(shown("s3://bucket/a@b").contains("\"s3://bucket/a@b\""));
}
