//! Style sheet, script and icon: in the binary, at addresses that change with what they hold.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

/// What the templates link to.
#[derive(Debug)]
pub(crate) struct Assets {
    pub style: Asset,
    pub script: Asset,
    pub icon: Asset,
}

#[derive(Debug)]
pub(crate) struct Asset {
    pub path: String,
    name: String,
    media_type: &'static str,
    body: &'static str,
}

pub(crate) static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets {
    style: Asset::new("css", "text/css; charset=utf-8", include_str!("../../assets/console.css")),
    script: Asset::new("js", "text/javascript; charset=utf-8", include_str!("../../assets/console.js")),
    icon: Asset::new("svg", "image/svg+xml", include_str!("../../assets/console.svg")),
});

impl Asset {
    fn new(extension: &str, media_type: &'static str, body: &'static str) -> Self {
        let hash = Sha256::digest(body);
        let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let name = format!("console.{hash}.{extension}");
        Self { path: format!("/assets/{name}"), name, media_type, body }
    }
}

/// `GET /assets/{name}`: kept by browsers for good, for another content has another name.
pub(crate) async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let assets = &*ASSETS;
    let Some(asset) = [&assets.style, &assets.script, &assets.icon].into_iter().find(|it| it.name == name)
    else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = format!("\"{}\"", asset.name);
    let kept = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let caching =
        [(header::ETAG, tag.as_str()), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    if kept {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(header::CONTENT_TYPE, asset.media_type)], asset.body).into_response()
}
