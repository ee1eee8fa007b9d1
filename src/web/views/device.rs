//! What a user agent calls itself, in a few words. Never trusted, always shortened.

use woothee::parser::Parser;

/// A device or program as a page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// "Firefox on Linux", "curl", "Unknown device".
    pub label: String,
    /// The first line of a narrow column: "Linux", "curl", "Unknown".
    pub head: String,
    /// The second one: "Firefox 145".
    pub detail: Option<String>,
    /// The icon's name in the sprite: `laptop`, `phone`, `tv` or `terminal`.
    pub icon: &'static str,
}

const LONGEST: usize = 40;

/// The device that a `User-Agent` names.
pub fn device(agent: Option<&str>) -> Device {
    let agent = agent.map(str::trim).unwrap_or_default();
    let parser = Parser::new();
    let parsed = parser.parse(agent);
    let (name, version, os, category) = match &parsed {
        Some(found) => (known(found.name), known(found.version), known(found.os), found.category),
        None => (None, None, None, ""),
    };
    if let ("pc" | "smartphone" | "mobilephone" | "appliance", Some(os)) = (category, os) {
        let os = system(os);
        let icon = match category {
            "pc" => "laptop",
            "appliance" => "tv",
            _ => "phone",
        };
        return match name {
            Some(name) => {
                let name = browser(name);
                let major = version
                    .and_then(|text| text.split('.').next())
                    .filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
                Device {
                    label: format!("{name} on {os}"),
                    head: os,
                    detail: Some(match major {
                        Some(major) => format!("{name} {major}"),
                        None => name,
                    }),
                    icon,
                }
            }
            None => match product(agent) {
                Some((name, version)) => Device {
                    label: format!("{name} on {os}"),
                    head: os,
                    detail: Some(versioned(&name, version)),
                    icon,
                },
                None => Device { label: os.clone(), head: os, detail: None, icon },
            },
        };
    }
    match product(agent) {
        Some((name, version)) => Device {
            label: name.clone(),
            head: name,
            detail: version.map(|text| format!("version {text}")),
            icon: "terminal",
        },
        None => Device {
            label: "Unknown device".to_owned(),
            head: "Unknown".to_owned(),
            detail: None,
            icon: "laptop",
        },
    }
}

/// The program that a `User-Agent` names, on one line of a timeline: "Firefox 145, Linux", "curl 8.14.1".
pub fn program(agent: Option<&str>) -> String {
    let found = device(agent);
    match (found.icon, found.detail) {
        ("terminal", _) => match product(agent.unwrap_or_default().trim()) {
            Some((name, version)) => versioned(&name, version),
            None => found.label,
        },
        (_, Some(detail)) => format!("{detail}, {}", found.head),
        (_, None) => found.label,
    }
}

fn versioned(name: &str, version: Option<String>) -> String {
    match version {
        Some(version) => format!("{name} {version}"),
        None => name.to_owned(),
    }
}

fn known(value: &str) -> Option<&str> {
    (!value.is_empty() && value != "UNKNOWN").then_some(value)
}

fn system(os: &str) -> String {
    let os = match os {
        "Mac OSX" => "Mac",
        "iPhone" | "iPad" | "iPod" | "Android" | "Linux" | "ChromeOS" => os,
        "iOS" => "iPhone",
        _ if os.starts_with("Windows Phone") => "Windows Phone",
        _ if os.starts_with("Windows") => "Windows",
        _ => os,
    };
    shortened(os)
}

fn browser(name: &str) -> String {
    shortened(match name {
        "Microsoft Edge" => "Edge",
        "Internet Explorer" => "Internet Explorer",
        _ => name,
    })
}

/// The first product of a user agent that isn't a browser's: `curl/8.14.1` is curl.
fn product(agent: &str) -> Option<(String, Option<String>)> {
    let first = agent.split_whitespace().next()?;
    let (name, version) = match first.split_once('/') {
        Some((name, version)) => (name, Some(version)),
        None => (first, None),
    };
    if name.is_empty() || name == "Mozilla" || name == "-" {
        return None;
    }
    let version = version
        .filter(|text| text.starts_with(|first: char| first.is_ascii_digit()))
        .map(shortened);
    Some((shortened(name), version))
}

fn shortened(text: &str) -> String {
    let clean: Vec<char> = text.chars().filter(|letter| !letter.is_control()).collect();
    if clean.len() <= LONGEST {
        clean.into_iter().collect()
    } else {
        clean.into_iter().take(LONGEST - 1).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_names_and_icons() {
        for (agent, label, icon, line) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
                "Firefox on Linux",
                "laptop",
                "Firefox 145, Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
                "Edge on Windows",
                "laptop",
                "Edge 142, Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
                "phone",
                "Safari 18, iPhone",
            ),
            (
                "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
                "Chrome on Android",
                "phone",
                "Chrome 142, Android",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15",
                "Safari on Mac",
                "laptop",
                "Safari 26, Mac",
            ),
            ("curl/8.14.1", "curl", "terminal", "curl 8.14.1"),
            ("python-requests/2.32.3", "python-requests", "terminal", "python-requests 2.32.3"),
            ("node", "node", "terminal", "node"),
            (
                "openid-client/v6.8.1 (https://github.com/panva)",
                "openid-client",
                "terminal",
                "openid-client",
            ),
            ("", "Unknown device", "laptop", "Unknown device"),
            ("-", "Unknown device", "laptop", "Unknown device"),
        ] {
            let found = device(Some(agent));
            assert_eq!((found.label.as_str(), found.icon), (label, icon), "{agent}");
            assert_eq!(program(Some(agent)), line, "{agent}");
        }
        assert_eq!(device(None).label, "Unknown device");
    }

    #[test]
    fn a_hostile_agent_is_shortened() {
        let long = format!("{}/1\u{7}", "A".repeat(9_000));
        assert!(device(Some(&long)).label.chars().count() <= LONGEST);
        assert!(program(Some(&long)).chars().count() <= 2 * LONGEST + 1);
    }
}
