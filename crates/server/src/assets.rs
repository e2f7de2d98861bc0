//! The player page and its files, embedded when the binary is built (`build.rs`, `web/`).

mod embedded {
    include!(concat!(env!("OUT_DIR"), "/assets.rs"));
}

/// The page served at `/{name}/`. It derives the stream from its own address. Serve with `Cache-Control: no-cache`.
pub(crate) fn player_page() -> &'static [u8] {
    embedded::PAGE
}

/// The file below `/assets/`: `{version}/{file}` as the page asks for it, or `{file}` alone.
/// Returns its MIME type and bytes.
pub(crate) fn asset(path: &str) -> Option<(&'static str, &'static [u8])> {
    let name = versioned(path).unwrap_or(path);
    let (_, mime, bytes) = embedded::FILES.iter().find(|(file, ..)| *file == name)?;
    Some((mime, bytes))
}

/// How long a browser may keep what `asset(path)` returned: for ever where the address names its contents.
pub(crate) fn cache_control(path: &str) -> &'static str {
    match versioned(path) {
        Some(_) => "public, max-age=31536000, immutable",
        None => "no-cache",
    }
}

fn versioned(path: &str) -> Option<&str> {
    path.strip_prefix(embedded::VERSION)?.strip_prefix('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_asks_only_for_files_that_are_embedded_or_fetched_by_npm() {
        let page = std::str::from_utf8(player_page()).unwrap();
        let asked: Vec<_> = page
            .split("/assets/")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap())
            .collect();
        assert!(asked.len() >= 3 && !page.contains("@VERSION@"));
        for path in asked {
            assert!(
                asset(path).is_some() || path.ends_with("/hls.min.js"),
                "{path}"
            );
            assert!(cache_control(path).contains("immutable"));
        }
    }

    #[test]
    fn what_npm_fetched_comes_with_its_licence() {
        for name in ["hls", "dash"] {
            let library = asset(&format!("{name}.min.js"));
            let licence = asset(&format!("{name}.LICENSE.txt"));
            assert_eq!(library.is_some(), licence.is_some(), "{name}");
        }
    }

    #[test]
    fn an_old_version_or_an_unknown_file_is_absent() {
        assert!(asset("player.js").is_some());
        assert!(asset("0000000000000000/player.js").is_none());
        assert!(asset("../Cargo.toml").is_none());
        assert_eq!(cache_control("player.js"), "no-cache");
    }
}
