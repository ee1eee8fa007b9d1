//! Every page, rendered with sample contexts and held against what all pages promise.

use std::collections::BTreeSet;

use askama::Template;

use super::*;
use crate::web::assets;

// 23 November 2026, 14:32:07 UTC
const NOW: i64 = 1_795_444_327_000;
const MINUTE: i64 = 60_000;
const DAY: i64 = 86_400_000;
const HOSTILE: &str = "<script>alert(1)</script>\"'&";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";

/// How the samples are filled.
#[derive(Clone, Copy, PartialEq)]
enum Fill {
    Usual,
    Hostile,
}

impl Fill {
    fn text(self, usual: &str) -> String {
        match self {
            Self::Usual => usual.to_owned(),
            Self::Hostile => format!("{usual} {HOSTILE}"),
        }
    }
}

/// An app's own page.
const APP: &str = "https://app.meadow.example/signed-out";

fn page(fill: Fill, nav: Nav) -> Page {
    Page {
        lang: "en",
        dir: "ltr",
        site: fill.text("Northfield ID"),
        host: "id.northfield.example".into(),
        base: if fill == Fill::Hostile { "/id".into() } else { String::new() },
        csrf: fill.text("Zk3t"),
        viewer: Some(Viewer::new(&fill.text("Ada Fern"), "ada", "ada@northfield.example", true)),
        nav,
        flash: None,
    }
}

fn flashed(fill: Fill, nav: Nav, text: &str) -> Page {
    Page { flash: Some(Flash { tone: Tone::Good, text: fill.text(text) }), ..page(fill, nav) }
}

fn profile_form(fill: Fill, faults: Faults) -> ProfileForm {
    ProfileForm {
        username: fill.text("ada"),
        email: fill.text("ada@northfield.example"),
        email_verified: true,
        phone_number_verified: true,
        ..ProfileForm::new(|name| fill.text(name), faults)
    }
}

fn facts(fill: Fill, ago: i64, ip: &str, with: &str, fresh: bool) -> Facts {
    Facts {
        when: When::stamp(NOW, NOW - ago),
        ip: fill.text(ip),
        ip_new: fresh,
        with: fill.text(with),
        with_new: fresh,
    }
}

fn straight(fill: Fill) -> Stem {
    let home = |ago| facts(fill, ago, "203.0.113.24", "Tidewater 12, Android", false);
    Stem::grow(vec![
        Knot::Refreshed { generation: 1_812, facts: home(2 * MINUTE), caller: None, current: true, note: None },
        Knot::Reissue { presented: 1_809, left_behind: 1_810, generation: 1_811, facts: home(12 * MINUTE), alarm: true },
        Knot::Ahead { presented: 1_808, generation: 1_809, facts: home(22 * MINUTE) },
        Knot::Late { presented: 805, facts: home(25 * MINUTE) },
        Knot::Retry {
            times: 2,
            generation: 806,
            facts: home(30 * MINUTE),
            note: Some("Two windows refreshed at the same moment. Both got the same token; nobody was signed out.".into()),
        },
        Knot::Refreshed { generation: 806, facts: facts(fill, 40 * MINUTE, "198.51.100.7", "curl 8.14.1", true), caller: None, current: false, note: None },
        Knot::Quiet {
            count: 804,
            from: 2,
            to: 805,
            when: "12 Jun to 23 Nov".into(),
            networks: "4 networks".into(),
            with: fill.text("Tidewater 11 and 12, Android"),
        },
        Knot::SignedIn { generation: 1, facts: home(90 * DAY), note: fill.text("Password. Allowed: account number only.") },
    ])
}

fn forked(fill: Fill) -> Stem {
    let home = |ago| facts(fill, ago, "203.0.113.24", "Meadow Notes 4.2, iOS", false);
    let away = |ago, fresh| facts(fill, ago, "192.0.2.66", "python-requests 2.32", fresh);
    Stem::grow(vec![
        Knot::Ended {
            title: "Signed out, both callers".into(),
            when: When::stamp(NOW, NOW - MINUTE),
            by: "Perennial".into(),
            note: Some(fill.text("No token of this session works any more, neither of the two copies.")),
        },
        Knot::Reuse {
            generation: 39,
            facts: home(MINUTE),
            caller: Some('B'),
            note: "23 minutes after its first use, so this is no retry: two callers hold a copy of the same token. Nothing was given out.".into(),
        },
        Knot::Refreshed { generation: 41, facts: away(14 * MINUTE, false), caller: Some('A'), current: false, note: None },
        Knot::Refreshed {
            generation: 40,
            facts: away(24 * MINUTE, true),
            caller: Some('A'),
            current: false,
            note: Some("Token 39 used for the first time.".into()),
        },
        Knot::Refreshed {
            generation: 39,
            facts: home(30 * MINUTE),
            caller: None,
            current: false,
            note: Some("The last token given to the app. A copy of it was taken after this moment.".into()),
        },
        Knot::Quiet { count: 37, from: 2, to: 38, when: "12 to 22 Nov".into(), networks: "2 networks".into(), with: "Meadow Notes 4.2, iOS".into() },
        Knot::SignedIn { generation: 1, facts: home(11 * DAY), note: "Password. Ada allowed: name and email, read notes.".into() },
    ])
}

fn ended(fill: Fill) -> Stem {
    let home = |ago| facts(fill, ago, "203.0.113.24", "Firefox 145, Linux", false);
    Stem::grow(vec![
        Knot::Ended {
            title: "Revoked".into(),
            when: When::stamp(NOW, NOW - MINUTE),
            by: fill.text("Ada Fern"),
            note: Some("Device lost or stolen.".into()),
        },
        Knot::Refreshed {
            generation: 2,
            facts: home(4 * MINUTE),
            caller: None,
            current: false,
            note: None,
        },
        Knot::SignedIn { generation: 1, facts: home(9 * MINUTE), note: "Password.".into() },
    ])
}

fn scopes(fill: Fill) -> Vec<ScopeLine> {
    let description = fill.text("Write, change and delete your notes");
    let asked = [
        ScopeInfo { name: "openid", description: None, risk: None },
        ScopeInfo { name: "profile", description: None, risk: None },
        ScopeInfo { name: "email", description: None, risk: None },
        ScopeInfo {
            name: "notes.read",
            description: Some("Read your notes and notebooks"),
            risk: None,
        },
        ScopeInfo { name: "notes.write", description: Some(&description), risk: Some(Risk::Write) },
        ScopeInfo { name: "offline_access", description: None, risk: None },
        ScopeInfo { name: "meadow.sync", description: None, risk: None },
    ];
    let words = ScopeWords {
        site: fill.text("Northfield ID"),
        email: Some("ada@northfield.example".into()),
        phone: Some(fill.text("+442079460958")),
        address: Some(fill.text("2 Fern Walk, Leeds")),
        also: Some("Also your username and birthday".into()),
        idle: "30 days".into(),
    };
    scope_lines(&asked, &[], &words)
}

fn session_view(fill: Fill, stem: Stem, badge: Badge, alarmed: bool) -> AdminSessionView {
    let caller = |letter, title: &str, ip: &str, fresh| Caller {
        letter,
        title: title.into(),
        ip: ip.into(),
        ip_new: fresh,
        with: fill.text("python-requests 2.32"),
        with_new: fresh,
        seen: "14:07:31 to 14:18:02, 2 refreshes".into(),
    };
    AdminSessionView {
        page: page(fill, Nav::AdminSessions),
        id: "01JD7Y3M8QK4".into(),
        title: fill.text("Ada Fern, Meadow Notes"),
        live: badge == Badge::active(),
        badge,
        line: "Last refreshed on".into(),
        when: When::exact(NOW - MINUTE),
        alarm: alarmed.then(|| AlarmBox {
            heading: "Someone has a copy of this session’s token".into(),
            text: "Token 39 was used twice, from two places, with two programs. Perennial can’t know which caller is Ada, so it signed both out.".into(),
            points: vec![fill.text("Ask Ada whether she used Meadow Notes with python-requests.")],
            links: vec![Link { href: "/admin/audit?q=192.0.2.66".into(), text: "See what else 192.0.2.66 did".into() }],
            reading: Reading { unread: Some(NOW), read: None, said: Some(fill.text("Ada Fern says: it wasn’t me.")) },
        }),
        callers: alarmed.then(|| [caller('A', "First to use token 39", "192.0.2.66", true), caller('B', "Second to use token 39", "203.0.113.24", false)]),
        stem,
        person: Link { href: "/admin/users/ada".into(), text: fill.text("Ada Fern") },
        email: "ada@northfield.example".into(),
        app: Link { href: "/admin/clients/meadow-notes".into(), text: fill.text("Meadow Notes") },
        app_kind: "public client".into(),
        device: "Safari on iPhone".into(),
        scope: "openid profile email notes.read notes.write offline_access".into(),
        lifetime: "30 days without use, 365 days in all".into(),
        ends: Some(When::exact(NOW + 200 * DAY)),
        rotation: "resumable, retry window 30 seconds".into(),
        browser: Some("Firefox on Linux, 203.0.113.24".into()),
    }
}

fn sessions_view(fill: Fill, filtered: bool, empty: bool) -> AdminSessionsView {
    let rows = [
        (
            "Ada Fern",
            "ada",
            "Meadow Notes",
            "python-requests/2.32",
            "192.0.2.66",
            41,
            Badge::reuse(),
        ),
        ("Basil Rowe", "basil", "Orchard Mail", FIREFOX, "203.0.113.24", 5_218, Badge::active()),
        (
            "Linden Marsh",
            "linden",
            "Lantern CI",
            "curl/8.14.1",
            "2001:db8:7::21:aaaa:bbbb:cccc:dddd",
            211,
            Badge::quiet(),
        ),
        ("Sage Holm", "sage", "Orchard Mail", "", "198.51.100.41", 402, Badge::signed_out()),
        ("Willow Dean", "willow", "Tidewater Pay", FIREFOX, "203.0.113.131", 55, Badge::revoked()),
        ("Iris Field", "iris", "Tidewater Pay", FIREFOX, "203.0.113.132", 55, Badge::expired()),
    ];
    let query = [("q", ""), ("state", if filtered { "quiet" } else { "" })];
    AdminSessionsView {
        page: if filtered {
            page(fill, Nav::AdminSessions)
        } else {
            flashed(
                fill,
                Nav::AdminSessions,
                "2 sessions revoked. Their apps are signed out at their next request.",
            )
        },
        q: if empty { fill.text("192.0.2.200") } else { String::new() },
        user: if filtered { fill.text("rowan") } else { String::new() },
        clients: Choice::list(
            &[("", "All apps".to_owned()), ("meadow-notes", fill.text("Meadow Notes"))],
            if filtered { "meadow-notes" } else { "" },
        ),
        states: AdminSessionsView::states(if filtered { "quiet" } else { "" }),
        sort: if filtered { "rotated".into() } else { String::new() },
        filtered,
        caption: Caption {
            count: "18,902 sessions".into(),
            rest: "signed in last first, times in UTC".into(),
        },
        heads: heads(
            &AdminSessionsView::COLUMNS,
            if filtered { "rotated" } else { "-created" },
            "/admin/sessions",
            &query,
        ),
        rows: if empty {
            Vec::new()
        } else {
            rows.into_iter()
                .enumerate()
                .map(|(at, (name, username, app, agent, ip, generation, badge))| {
                    let device = device(Some(agent));
                    SessionRow {
                        id: format!("fam_{at}"),
                        name: fill.text(name),
                        username: username.into(),
                        app: AppFace::new(&fill.text(app)),
                        device: device.head,
                        device_detail: device.detail,
                        ip: ip.into(),
                        began: When::stamp(NOW, NOW - 40 * DAY),
                        refreshed: When::stamp(NOW, NOW - MINUTE),
                        generation: thousands(generation),
                        live: badge == Badge::active() || badge == Badge::quiet(),
                        badge,
                    }
                })
                .collect()
        },
        all: filtered.then(|| "Revoke all 3 that match…".to_owned()),
        pager: Pager {
            shown: "1 to 6 of 18,902".into(),
            first: filtered.then(|| "/admin/sessions".into()),
            next: Some("/admin/sessions?after=fam_5".into()),
        },
        empty: Empty {
            heading: fill.text("No session matches “192.0.2.200”"),
            text: "Search looks at names, emails, session numbers and the latest IP address."
                .into(),
        },
    }
}

fn client_view(fill: Fill) -> AdminClientFormView {
    AdminClientFormView {
        stored: Some(AppFace::new(&fill.text("Meadow Notes"))),
        sessions: "5,940 sessions".into(),
        name: fill.text("Meadow Notes"),
        client_id: fill.text("meadow-notes"),
        redirect_uris: fill.text("https://app.meadow.example/callback\nhttp://127.0.0.1/callback"),
        confidential: true,
        ..AdminClientFormView::new(page(fill, Nav::AdminClients))
    }
}

fn thing(fill: Fill, title: &str, badge: Option<Badge>) -> SessionThing {
    SessionThing {
        id: fill.text("s2"),
        icon: device(Some(FIREFOX)).icon,
        title: fill.text(title),
        badge,
        facts: vec!["This website".into(), "203.0.113.24".into()],
        active: When::on(NOW, NOW - 2 * MINUTE),
        began: When::on(NOW, NOW - 50 * DAY),
        ends: Some(When::date(NOW, NOW + 49 * DAY)),
    }
}

/// Every page and state, by the name of its file.
fn samples(fill: Fill) -> Vec<(&'static str, String)> {
    let gate = || page(fill, Nav::Nowhere);
    let app = || AppFace::new(&fill.text("Meadow Notes"));
    let who = Viewer::new(&fill.text("Ada Fern"), "ada", "ada@northfield.example", true);
    let lines = || {
        let line =
            |session: &str, who: &Viewer| AccountLine { session: session.into(), who: who.clone() };
        let linden =
            Viewer::new(&fill.text("Linden Marsh"), "linden", "linden@northfield.example", false);
        vec![
            line("0190a5b2-7d4e-7c3a-9f00-000000000001", &who),
            line("0190a5b2-7d4e-7c3a-9f00-000000000002", &linden),
        ]
    };
    let login = |state: LoginState| LoginView {
        page: gate(),
        app: Some(app()),
        request: Some(fill.text("req_5c1f")),
        username: fill.text("ada@northfield.example"),
        stay: true,
        stay_for: "30 days".into(),
        state,
    };
    let mut out: Vec<(&'static str, String)> = Vec::new();
    macro_rules! add {
        ($($name:literal: $view:expr;)*) => { $(out.push(($name, $view.render().unwrap()));)* };
    }
    add! {
        "login": LoginView { app: None, request: None, username: String::new(), ..login(LoginState::Fresh) };
        "login-app": login(LoginState::Fresh);
        "login-error": login(LoginState::Wrong { tries: Some(fill.text("You have 3 tries left before a short wait.")) });
        "login-throttled": login(LoginState::Throttled { until: When::clock(NOW), about: words::about(NOW, NOW + 4 * MINUTE) });
        "login-stale": login(LoginState::Again { text: fill.text("That form had grown too old. Please sign in once more.") });
        "consent": ConsentView { page: gate(), app: app(), who: who.clone(), scopes: scope_blocks(scopes(fill)), again: false, request: fill.text("req"), back_to: fill.text("app.meadow.example"), unreviewed: None };
        "consent-new": ConsentView { page: gate(), app: app(), who: who.clone(), scopes: scope_blocks(scopes(fill)), again: true, request: fill.text("req"), back_to: fill.text("app.meadow.example"), unreviewed: None };
        "consent-unreviewed": ConsentView { page: gate(), app: AppFace { logo: Some(format!("{}/logos/meadow", gate().base)), pages: vec![("privacy policy", "https://app.meadow.example/policy".into())], ..app() }, who: who.clone(), scopes: scope_blocks(scopes(fill)), again: false, request: fill.text("req"), back_to: "127.0.0.1:8085".into(), unreviewed: Some(Unreviewed { since: When::full_date(NOW), host: None, this_computer: true }) };
        "consent-document": ConsentView { page: gate(), app: app(), who: who.clone(), scopes: scope_blocks(scopes(fill)), again: false, request: fill.text("req"), back_to: fill.text("app.meadow.example"), unreviewed: Some(Unreviewed { since: When::full_date(NOW), host: Some(fill.text("app.meadow.example")), this_computer: false }) };
        "login-again": LoginAgainView { page: gate(), app: app(), who: who.clone(), request: fill.text("req"), back_to: fill.text("app.meadow.example"), state: LoginState::Fresh };
        "login-again-error": LoginAgainView { page: gate(), app: app(), who: who.clone(), request: fill.text("req"), back_to: fill.text("app.meadow.example"), state: LoginState::Wrong { tries: Some(fill.text("You have 1 try left before a short wait.")) } };
        "login-again-throttled": LoginAgainView { page: gate(), app: app(), who: who.clone(), request: fill.text("req"), back_to: fill.text("app.meadow.example"), state: LoginState::Throttled { until: When::clock(NOW), about: words::about(NOW, NOW + 4 * MINUTE) } };
        "login-accounts": LoginAccountsView { page: gate(), app: Some(app()), request: Some(fill.text("req")), accounts: lines(), has_room: true };
        "login-accounts-full": LoginAccountsView { page: gate(), app: None, request: None, accounts: lines(), has_room: false };
        "form-post": FormPostView { page: gate(), app: app(), back_to: fill.text("app.meadow.example"), action: "https://app.meadow.example/callback".into(), parameters: vec![("code", fill.text("pac_1")), ("state", fill.text("s"))] };
        "signed-out": SignedOutView { page: gate(), others: None, back: None };
        "signed-out-of-one": SignedOutView { page: gate(), others: Some(fill.text("This browser is still signed in as Linden Marsh.")), back: None };
        "sign-out": SignOutView { page: gate(), who: lines().split_off(1) };
        "sign-out-several": SignOutView { page: gate(), who: lines() };
        "signed-out-back": SignedOutView { page: gate(), others: None, back: Some(GoBack { address: APP.into(), name: fill.text("Meadow Notes") }) };
        "logout": LogoutView { page: gate(), app: Some(app()), who: who.clone(), account: fill.text("id"), request: fill.text("req"), apps: fill.text("Fern Mail, Orchard"), developer: None };
        "logout-nobody": LogoutView {
            page: gate(),
            app: None,
            who,
            account: fill.text("id"),
            request: fill.text("req"),
            apps: String::new(),
            developer: Some(DeveloperFacts {
                error: "invalid_request".into(),
                description: "post_logout_redirect_uri was sent without an id_token_hint or a client_id".into(),
                client: None,
                sent: Some(fill.text("https://app.meadow.example/signed-out")),
                when: When::exact(NOW),
            }),
        };
        "error": ErrorView {
            page: gate(),
            heading: "We stopped before signing you in".into(),
            app: Some(fill.text("Meadow Notes")),
            lead: "asked us to send you back to an address it hasn’t registered. We don’t send people to addresses we don’t know.".into(),
            whose: "Most likely the app’s. Nothing is wrong with your account.".into(),
            what: "Go back to the app and try again. If it happens again, tell the people who make it, and give them the reference below.".into(),
            reference: "7Q4K-2M9D".into(),
            go: Some(("/account", "Go to your account")),
            developer: Some(DeveloperFacts {
                error: "invalid_request".into(),
                description: "redirect_uri is not one of this client’s".into(),
                client: Some(fill.text("meadow-notes")),
                sent: Some(fill.text("https://app.meadow.example/callbak")),
                when: When::exact(NOW),
            }),
        };
        "error-not-found": ErrorView::not_found(gate(), "7Q4K-2M9D".into());
        "error-not-allowed": ErrorView::not_allowed(gate(), "7Q4K-2M9D".into());
        "error-stale": ErrorView::stale_form(gate(), "7Q4K-2M9D".into());
        "error-request": ErrorView::request_gone(gate(), "7Q4K-2M9D".into());
        "error-setup": ErrorView::setup_closed(gate(), "7Q4K-2M9D".into());
        "error-server": ErrorServerView { page: gate(), busy: false, reference: "1XHV-88TC".into() };
        "error-busy": ErrorServerView { page: gate(), busy: true, reference: "1XHV-88TC".into() };
        "setup": SetupView {
            page: gate(), issuer: "https://id.northfield.example".into(), link: fill.text("setup_1"), display_name: String::new(),
            email: String::new(), username: String::new(), shortest: 12, faults: Faults::new(Faults::SETUP),
        };
        "setup-error": SetupView {
            page: gate(), issuer: "https://id.northfield.example".into(), link: fill.text("setup_1"), display_name: fill.text("Ada"),
            email: fill.text("ada@"), username: fill.text("ada"), shortest: 12,
            faults: Faults::new(Faults::SETUP).with("email", fill.text("Give an address with something after the @.")).with("password", "Use at least 12 characters.").with("username", "Taken.").with("display_name", "Longer."),
        };
        "account": AccountView {
            page: page(fill, Nav::Account),
            first_name: fill.text("Ada"),
            alarms: vec![Alarm {
                id: "fam_1".into(),
                raised: NOW - MINUTE,
                places: vec![fill.text("First from 203.0.113.24, with curl 8")],
                question: "Was it you both times?",
                disowned: false,
                heading: fill.text("We signed you out of Meadow Notes on your iPhone"),
                when: When::on_capital(NOW, NOW - MINUTE),
                text: "its sign-in key was used from two places, and we couldn’t tell which one was you. Signing in again on your phone is safe. If you didn’t use it from elsewhere, change your password.".into(),
            }],
            sessions: Tease { heading: "4 sessions".into(), text: "The latest was used a minute ago.".into() },
            apps: Tease { heading: "3 connected apps".into(), text: "2 of them keep access while you are away.".into() },
            security: Tease { heading: "Password".into(), text: "Last changed on 11 February 2026.".into() },
            name: fill.text("Ada Fern"),
            email: "ada@northfield.example".into(),
            email_verified: true,
            phone: fill.text("+442079460958"),
            phone_verified: true,
            username: "ada".into(),
            member_since: When::full_date(NOW - 900 * DAY),
        };
        "account-profile": AccountProfileView { page: page(fill, Nav::Account), fields: profile_form(fill, Faults::new(Faults::PROFILE)) };
        "account-profile-error": AccountProfileView {
            page: page(fill, Nav::Account),
            fields: profile_form(fill, Faults::new(Faults::PROFILE).with("birthdate", fill.text("Write a day.")).with("street_address", "Shorter.").with("display_name", "Give a name.")),
        };
        "admin-user-profile": AdminUserProfileView {
            page: page(fill, Nav::AdminUsers), id: fill.text("usr/1"), name: fill.text("Ada Fern"),
            fields: ProfileForm { by_admin: true, ..profile_form(fill, Faults::new(Faults::PROFILE).with("email", fill.text("Another address."))) },
        };
        "account-sessions": AccountSessionsView {
            page: page(fill, Nav::AccountSessions),
            here: vec![thing(fill, "Firefox on Linux", Some(SessionThing::here())), thing(fill, "Meadow Notes on Linux", None)],
            others: vec![thing(fill, "Orchard Mail on Windows", None), thing(fill, "Harbour TV", Some(Badge::new(Tone::Warn, "clock", "Quiet for 41 days")))],
            ended: vec![EndedThing {
                icon: "phone",
                title: fill.text("Meadow Notes on iPhone"),
                badge: Badge::new(Tone::Bad, "alert", "Signed out by us"),
                when: When::on_capital(NOW, NOW - MINUTE),
                why: Some("Its sign-in key was used from two places.".into()),
            }],
        };
        "account-sessions-alone": AccountSessionsView { page: flashed(fill, Nav::AccountSessions, "Signed out everywhere else."), here: vec![thing(fill, "Firefox on Linux", Some(SessionThing::here()))], others: Vec::new(), ended: Vec::new() };
        "account-apps": AccountAppsView {
            page: page(fill, Nav::AccountApps),
            apps: vec![
                AppThing { client_id: fill.text("meadow-notes"), face: app(), host: fill.text("app.meadow.example"), used: Some(When::on(NOW, NOW - 90 * DAY)), ticks: scopes(fill).iter().map(Tick::of).collect() },
                AppThing { client_id: "orchard".into(), face: AppFace::new("Orchard Mail"), host: "mail.orchard.example".into(), used: None, ticks: Vec::new() },
            ],
            organisation: vec![fill.text("Northfield Intranet"), "Northfield Payroll".into()],
        };
        "account-apps-empty": AccountAppsView { page: page(fill, Nav::AccountApps), apps: Vec::new(), organisation: Vec::new() };
        "account-security": AccountSecurityView {
            page: page(fill, Nav::AccountSecurity),
            username: fill.text("ada"),
            changed: Some(When::full_date(NOW - 300 * DAY)),
            shortest: 12,
            everywhere: true,
            faults: Faults::new(Faults::PASSWORD),
            events: vec![EventLine { when: When::event(NOW, NOW), text: fill.text("Signed in, Firefox on Linux") }],
        };
        "account-security-error": AccountSecurityView {
            page: page(fill, Nav::AccountSecurity),
            username: "ada".into(),
            changed: None,
            shortest: 12,
            everywhere: false,
            faults: Faults::new(Faults::PASSWORD).with("password", fill.text("Use at least 12 characters.")).with("current", "That isn’t your password."),
            events: Vec::new(),
        };
        "admin": AdminView {
            page: page(fill, Nav::Admin),
            as_of: When::clock_seconds(NOW),
            alarm: Some("2 sessions raised an alarm that nobody has read".into()),
            recovery: Some(RecoveryNotice { closes: When::event(NOW, NOW + 60 * MINUTE), by: fill.text("the command line"), opened: When::event(NOW, NOW - MINUTE), since: When::exact(NOW - 60 * MINUTE), until: When::exact(NOW - 2 * MINUTE) }),
            figures: vec![
                Figure { title: "People signed in".into(), big: "12,486".into(), spark: spark(&[1.0, 3.0, 2.0, 5.0, 4.0], fill.text("People signed in over the last 24 hours")), note: "18,902 sessions in 14 apps".into() },
                Figure { title: "Refreshes per minute".into(), big: "3,204".into(), spark: None, note: "last hour".into() },
            ],
            alarms: vec![AlarmLine { id: "fam_1".into(), title: fill.text("Ada Fern, Meadow Notes"), when: When::stamp(NOW, NOW - MINUTE), detail: "generation 39 used twice".into(), reading: Reading { unread: None, read: Some((fill.text("Fern Holm"), When::stamp(NOW, NOW))), said: None } }],
            well: Badge::new(Tone::Good, "check", "All well"),
            health: vec![
                HealthLine { name: "Database".into(), badge: Badge::new(Tone::Good, "check", "Reachable"), text: "SQLite 3.50".into() },
                HealthLine { name: "Clean-up".into(), badge: Badge::new(Tone::Good, "check", "Ran at 14:00"), text: "1,204 rows in 0.3 s".into() },
            ],
            busiest: meter_widths(&[8_211, 5_940]).into_iter().map(|width| BusyApp { name: fill.text("Orchard Mail"), sessions: "8,211".into(), width }).collect(),
        };
        "admin-new": AdminView { page: page(fill, Nav::Admin), as_of: When::clock_seconds(NOW), alarm: None, recovery: None, figures: Vec::new(), alarms: Vec::new(), well: Badge::new(Tone::Warn, "alert", "Needs a look"), health: Vec::new(), busiest: Vec::new() };
        "admin-sessions": sessions_view(fill, false, false);
        "admin-sessions-filtered": sessions_view(fill, true, false);
        "admin-sessions-empty": sessions_view(fill, true, true);
        "admin-revoke": AdminRevokeView {
            page: page(fill, Nav::AdminSessions),
            count: "2 sessions".into(),
            within: "10 minutes".into(),
            things: vec![
                RevokeThing { id: "fam_1".into(), app: AppFace::new("Orchard Mail"), title: fill.text("Basil Rowe, Orchard Mail"), facts: vec!["Firefox on Windows".into(), "203.0.113.24".into()] },
                RevokeThing { id: "fam_2".into(), app: AppFace::new("Tidewater Pay"), title: "Iris Field, Tidewater Pay".into(), facts: vec!["Chrome on Android".into(), "198.51.100.7".into()] },
            ],
            more: None,
            carried: Vec::new(),
            reasons: AdminRevokeView::reasons("lost"),
            note: String::new(),
            offer_browsers: true,
            browsers: false,
            faults: Faults::new(Faults::REVOKE),
            back: "/admin/sessions".into(),
        };
        "admin-revoke-all": AdminRevokeView {
            page: page(fill, Nav::AdminSessions),
            count: "114 sessions".into(),
            within: "10 minutes".into(),
            things: vec![RevokeThing { id: String::new(), app: app(), title: "Basil Rowe, Orchard Mail".into(), facts: Vec::new() }],
            more: Some("and 113 more".into()),
            carried: vec![("all", "1".into()), ("q", fill.text("rowe"))],
            reasons: AdminRevokeView::reasons(""),
            note: fill.text("A note"),
            offer_browsers: false,
            browsers: false,
            faults: Faults::new(Faults::REVOKE).with("reason-lost", "Choose a reason.").with("note", "Keep it under 500 characters."),
            back: "/admin/sessions?q=rowe".into(),
        };
        "admin-session": session_view(fill, forked(fill), Badge::reuse(), true);
        "admin-session-healthy": session_view(fill, straight(fill), Badge::active(), false);
        "admin-session-ended": session_view(fill, ended(fill), Badge::revoked(), false);
        "admin-users": AdminUsersView {
            page: page(fill, Nav::AdminUsers),
            q: fill.text(""),
            states: AdminUsersView::states("admin"),
            filtered: true,
            caption: Caption { count: "15,230 people".into(), rest: "last seen first, times in UTC".into() },
            heads: heads(&AdminUsersView::COLUMNS, "-seen", "/admin/users", &[]),
            rows: vec![
                UserRow { id: "ada".into(), name: fill.text("Ada Fern"), email: "ada@northfield.example".into(), role: "Administrator", sessions: "3".into(), seen: Some(When::stamp(NOW, NOW)), badge: Badge::active() },
                UserRow { id: "willow".into(), name: "Willow Dean".into(), email: "willow@northfield.example".into(), role: "Person", sessions: "0".into(), seen: None, badge: Badge::disabled() },
            ],
            pager: Pager { shown: "1 to 2 of 15,230".into(), first: None, next: Some("/admin/users?after=2".into()) },
        };
        "admin-users-empty": AdminUsersView { page: page(fill, Nav::AdminUsers), q: fill.text("zed"), states: AdminUsersView::states(""), filtered: true, caption: Caption { count: "0 people".into(), rest: String::new() }, heads: Vec::new(), rows: Vec::new(), pager: Pager::default() };
    }
    let user = AdminUserView {
        page: page(fill, Nav::AdminUsers),
        id: fill.text("usr/1"),
        name: fill.text("Ada Fern"),
        first_name: fill.text("Ada"),
        email: "ada@northfield.example".into(),
        email_verified: true,
        said: vec![
            ("Phone", fill.text("+442079460958"), true),
            ("Birthday", fill.text("1990"), false),
        ],
        username: fill.text("ada"),
        is_admin: true,
        disabled: false,
        is_self: false,
        member_since: When::full_date(NOW - 900 * DAY),
        last_signed_in: Some(When::exact(NOW - 5 * DAY)),
        password_changed: Some(When::full_date(NOW - 300 * DAY)),
        sessions: vec![
            UserSession {
                id: "fam_1".into(),
                app: app(),
                title: fill.text("Meadow Notes on iPhone"),
                badge: Badge::reuse(),
                facts: vec!["generation 41".into()],
                live: false,
            },
            UserSession {
                id: "fam_2".into(),
                app: AppFace::new("Orchard Mail"),
                title: "Orchard Mail on Windows".into(),
                badge: Badge::active(),
                facts: vec!["generation 1,806".into(), "203.0.113.24".into()],
                live: true,
            },
        ],
    };
    let admin = |nav| page(fill, nav);
    add! {
        "admin-user": user;
        "admin-user-self": AdminUserView { is_self: true, sessions: Vec::new(), ..user.clone() };
        "admin-user-disabled": AdminUserView { disabled: true, is_admin: false, last_signed_in: None, password_changed: None, ..user.clone() };
        "confirm-disable": ConfirmView::disable_user(admin(Nav::AdminUsers), "willow", &fill.text("Willow Dean"), 3);
        "confirm-shut-out": ConfirmView::shut_out(page(fill, Nav::Account), "fam_1", &fill.text("Meadow Notes"));
        "confirm-remove": ConfirmView::remove_client(admin(Nav::AdminClients), &fill.text("meadow-notes"), &fill.text("Meadow Notes"), 5_940);
        "confirm-secret": ConfirmView::new_secret(admin(Nav::AdminClients), "meadow-notes", &fill.text("Meadow Notes"));
        "admin-clients": AdminClientsView {
            page: flashed(fill, Nav::AdminClients, "Meadow Notes was removed."),
            caption: Caption { count: "14 apps".into(), rest: "by name".into() },
            heads: heads(&AdminClientsView::COLUMNS, "name", "/admin/clients", &[]),
            rows: vec![
                ClientRow { client_id: fill.text("orchard-mail"), app: AppFace::new(&fill.text("Orchard Mail")), kind: "Confidential", goes_back_to: "mail.orchard.example".into(), access_token: "JWT", sessions: "8,211".into(), check: AdminClientsView::check(true) },
                ClientRow { client_id: "meadow-notes".into(), app: AppFace::new("Meadow Notes"), kind: "Public", goes_back_to: "app.meadow.example, 127.0.0.1".into(), access_token: "Opaque", sessions: "5,940".into(), check: AdminClientsView::check(false) },
            ],
            pager: Pager::default(),
        };
        "admin-clients-empty": AdminClientsView { page: admin(Nav::AdminClients), caption: Caption { count: "0 apps".into(), rest: String::new() }, heads: Vec::new(), rows: Vec::new(), pager: Pager::default() };
        "admin-client-new": AdminClientFormView::new(admin(Nav::AdminClients));
        "admin-client": client_view(fill);
        "admin-client-unreviewed": AdminClientFormView { doubt: Some(ClientDoubt { text: fill.text("It registered itself on 23 November 2026."), unused: "30 days".into() }), ..client_view(fill) };
        "admin-client-error": {
            let faults = Faults::CLIENT.iter().fold(Faults::new(Faults::CLIENT), |faults, field| faults.with(field, fill.text("Put this right.")));
            AdminClientFormView { faults, ..client_view(fill) }
        };
        "admin-client-secret": AdminClientSecretView { page: admin(Nav::AdminClients), name: fill.text("Orchard Mail"), created: true, client_id: "orchard-mail".into(), secret: Some("pcs_EXAMPLE-not-a-secret-EXAMPLE-not-a-secret-0".into()), discovery: "https://id.northfield.example/.well-known/oauth-authorization-server".into() };
        "admin-client-public": AdminClientSecretView { page: admin(Nav::AdminClients), name: fill.text("Meadow Notes"), created: true, client_id: "meadow-notes".into(), secret: None, discovery: "https://id.northfield.example/.well-known/oauth-authorization-server".into() };
        "admin-audit": AuditView {
            page: admin(Nav::AdminAudit),
            q: fill.text(""),
            events: AuditView::events("session"),
            from: "2026-11-22".into(),
            to: String::new(),
            filtered: true,
            kept: "400 days".into(),
            caption: Caption { count: "412 events".into(), rest: "latest first, times in UTC".into() },
            rows: vec![
                AuditRow { when: When::stamp(NOW, NOW), badge: Badge::reuse(), by: "Perennial".into(), on: fill.text("Ada Fern, Meadow Notes"), from: Some("2001:db8:7::21".into()), details: Some("session revoked, generation 39 of 41".into()) },
                AuditRow { when: When::stamp(NOW, NOW), badge: Badge::new(Tone::Good, "check", "Signed in"), by: fill.text("Ada Fern"), on: "password".into(), from: None, details: None },
            ],
            pager: Pager { shown: "1 to 2 of 412".into(), first: None, next: Some("/admin/audit?after=2".into()) },
        };
        "admin-audit-empty": AuditView { page: admin(Nav::AdminAudit), q: String::new(), events: AuditView::events(""), from: String::new(), to: String::new(), filtered: false, kept: "400 days".into(), caption: Caption { count: "0 events".into(), rest: String::new() }, rows: Vec::new(), pager: Pager::default() };
        "confirm-rotate-keys": ConfirmView::rotate_keys(admin(Nav::AdminKeys));
        "confirm-rotate-secret": ConfirmView::rotate_secret(admin(Nav::AdminKeys));
        "admin-keys": AdminKeysView {
            page: admin(Nav::AdminKeys),
            by_itself: true,
            keys: vec![KeyRow { id: fill.text("2026-11-a"), algorithm: "ES256".into(), badge: Badge::new(Tone::Good, "pencil", "Signing now"), made: When::full_date(NOW - 80 * DAY), rotates: "26 November 2026".into() }],
            secrets: vec![SecretLine { name: "Secret 1".into(), badge: Badge::new(Tone::Good, "check", "In use"), text: fill.text("since 1 September 2026") }],
            fingerprint: Some("3f2a 91c0".into()),
        };
    }
    out
}

/// The values of an attribute, in order.
fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
    let start = format!(" {attribute}=\"");
    html.split(start.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// The tags as they are written, with their attributes.
fn tags(html: &str) -> Vec<&str> {
    html.split('<').skip(1).filter_map(|rest| rest.split('>').next()).collect()
}

fn everything() -> Vec<(&'static str, String)> {
    samples(Fill::Usual).into_iter().chain(samples(Fill::Hostile)).collect()
}

/// The page that hands an answer over has the only script: a file of ours that it also works
/// without.
fn without_our_script(name: &str, html: String) -> String {
    if name != "form-post" {
        return html;
    }
    let url = assets::url(if html.contains("href=\"/id/") { "/id" } else { "" }, "form_post.js");
    let script = format!("<script src=\"{url}\" defer></script>");
    assert_eq!(html.matches(&script).count(), 1, "{html}");
    html.replace(&script, "")
}

#[test]
fn every_template_has_a_sample() {
    // A page without one would be held against nothing.
    let names: Vec<&str> = samples(Fill::Usual).into_iter().map(|(name, _)| name).collect();
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/pages")).unwrap()
    {
        let path = file.unwrap().path();
        let page = path.file_stem().unwrap().to_str().unwrap().replace('_', "-");
        assert!(names.iter().any(|name| name.starts_with(&page)), "{page}");
    }
}

#[test]
fn hostile_words_stay_words() {
    for (name, html) in samples(Fill::Hostile) {
        let html = without_our_script(name, html);
        assert!(!html.to_lowercase().contains("<script"), "{name}");
        assert!(
            html.contains("&#60;script&#62;"),
            "{name} shows no hostile word, so it proves nothing"
        );
        for tag in tags(&html) {
            assert!(tag.matches('"').count().is_multiple_of(2), "{name}: {tag}");
        }
    }
}

#[test]
fn nothing_is_inline() {
    for (name, html) in everything() {
        let html = without_our_script(name, html);
        for tag in tags(&html) {
            let bare: String = tag.split('"').step_by(2).collect::<Vec<_>>().join(" ");
            assert!(!tag.starts_with("style") && !tag.starts_with("script"), "{name}: {tag}");
            for word in bare.split_whitespace() {
                let inline =
                    word.starts_with("style=") || (word.starts_with("on") && word.ends_with('='));
                assert!(!inline, "{name}: {tag}");
            }
        }
        assert!(!html.contains("javascript:"), "{name}");
    }
}

#[test]
fn each_page_has_one_heading_and_skips_no_level() {
    for (name, html) in everything() {
        let levels: Vec<u32> = tags(&html)
            .into_iter()
            .filter_map(|tag| {
                tag.strip_prefix('h')
                    .and_then(|rest| rest.chars().next())
                    .and_then(|level| level.to_digit(10))
            })
            .collect();
        assert_eq!(levels.iter().filter(|level| **level == 1).count(), 1, "{name}");
        assert_eq!(levels.first(), Some(&1), "{name}");
        for pair in levels.windows(2) {
            assert!(pair[1] <= pair[0] + 1, "{name}: {levels:?}");
        }
    }
}

#[test]
fn every_reference_inside_a_page_leads_somewhere() {
    for (name, html) in everything() {
        let ids: Vec<&str> = values(&html, "id");
        let known: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), known.len(), "{name} has an id twice: {ids:?}");
        let described = values(&html, "aria-describedby");
        let links = values(&html, "href").into_iter().filter_map(|href| href.strip_prefix('#'));
        for id in described
            .iter()
            .flat_map(|list| list.split(' '))
            .chain(values(&html, "for"))
            .chain(links)
        {
            assert!(known.contains(id), "{name}: no #{id}");
        }
    }
}

#[test]
fn every_icon_and_file_exists() {
    let sprite = std::str::from_utf8(
        assets::all().iter().find(|asset| asset.name == "icons.svg").unwrap().bytes,
    )
    .unwrap();
    let icons: BTreeSet<&str> = values(sprite, "id").into_iter().collect();
    for (name, html) in everything() {
        let base = if html.contains("href=\"/id/") { "/id" } else { "" };
        for href in values(&html, "href") {
            let (path, icon) = href.split_once('#').unwrap_or((href, ""));
            if let Some(file) =
                path.strip_prefix(base).and_then(|path| path.strip_prefix("/static/"))
            {
                let asset = assets::find(file).unwrap_or_else(|| panic!("{name}: no file {href}"));
                if asset.name == "icons.svg" {
                    assert!(icons.contains(icon), "{name}: no icon {icon}");
                }
            }
        }
    }
}

#[test]
fn every_link_and_form_stays_below_the_base() {
    // The paths that handlers answer, without what follows an id.
    const KNOWN: [&str; 29] = [
        "/login",
        "/login/accounts",
        "/login/again",
        "/login/cancel",
        "/login/switch",
        "/consent",
        "/logout",
        "/oauth/logout/confirm",
        "/setup",
        "/account",
        "/account/sessions",
        "/account/sessions/end-others",
        "/account/apps",
        "/account/profile",
        "/account/security",
        "/account/security/password",
        "/admin",
        "/admin/sessions",
        "/admin/sessions/revoke",
        "/admin/users",
        "/admin/clients",
        "/admin/clients/new",
        "/admin/audit",
        "/admin/keys",
        "/admin/keys/rotate",
        "/admin/keys/secret/rotate",
        "/oauth/jwks.json",
        "/static",
        "",
    ];
    const WITH_ID: [&str; 18] = [
        "/account/sessions/*/end",
        "/account/apps/*/remove",
        "/account/alarms/*",
        "/account/alarms/*/me",
        "/account/alarms/*/not-me",
        "/account/alarms/*/shut-out",
        "/admin/sessions/*",
        "/admin/sessions/*/read",
        "/admin/users/*",
        "/admin/users/*/profile",
        "/admin/users/*/sign-out",
        "/admin/users/*/disable",
        "/admin/users/*/enable",
        "/admin/clients/*",
        "/admin/clients/*/new-secret",
        "/admin/clients/*/remove",
        "/admin/clients/*/review",
        "/static/*",
    ];
    for (name, html) in samples(Fill::Usual) {
        for link in values(&html, "href").into_iter().chain(values(&html, "action")) {
            // An app's own pages, and the page that hands an answer over, lead elsewhere.
            if link.starts_with('#') || link.starts_with("https://") {
                continue;
            }
            let path = link.split(['?', '#']).next().unwrap();
            let parts: Vec<&str> = path.split('/').collect();
            let starred = |at: usize| {
                parts
                    .iter()
                    .enumerate()
                    .map(|(place, part)| if place == at { "*" } else { *part })
                    .collect::<Vec<_>>()
                    .join("/")
            };
            let fits = KNOWN.contains(&path)
                || (2..parts.len()).any(|at| WITH_ID.contains(&starred(at).as_str()));
            assert!(fits, "{name}: {link} leads nowhere");
        }
    }
}

#[test]
fn every_form_that_changes_something_carries_the_token() {
    for (name, html) in everything() {
        for form in html.split("<form").skip(1).filter_map(|rest| rest.split("</form>").next()) {
            let head = form.split('>').next().unwrap();
            // What goes to an app is none of ours, and must not carry it.
            let posts = head.contains("method=\"post\"") && !head.contains("action=\"https:");
            assert_eq!(posts, form.contains("name=\"csrf\""), "{name}: {form}");
        }
    }
}

#[test]
fn forms_have_the_fields_that_handlers_read() {
    let pages = samples(Fill::Usual);
    for (name, action, fields) in [
        ("login-app", "/login", vec!["csrf", "password", "request", "stay", "username"]),
        ("login", "/login", vec!["csrf", "password", "stay", "username"]),
        ("consent", "/consent", vec!["csrf", "decision", "request"]),
        ("login-again", "/login/again", vec!["csrf", "password", "request", "username"]),
        ("login-again", "/login/cancel", vec!["csrf", "request"]),
        ("login-accounts", "/login/accounts", vec!["account", "csrf", "request"]),
        ("sign-out", "/logout", vec!["account", "csrf"]),
        ("logout", "/oauth/logout/confirm", vec!["account", "apps", "csrf", "request"]),
        ("logout-nobody", "/oauth/logout/confirm", vec!["account", "csrf", "request"]),
        ("setup", "/setup", vec!["csrf", "display_name", "email", "link", "password", "username"]),
        (
            "admin-revoke",
            "/admin/sessions/revoke",
            vec!["browsers", "csrf", "id", "note", "reason"],
        ),
        (
            "account-security",
            "/account/security/password",
            vec!["csrf", "current", "everywhere", "password", "username"],
        ),
    ] {
        let (_, html) = pages.iter().find(|(page, _)| *page == name).unwrap();
        let form = html
            .split("<form")
            .find(|form| form.contains(&format!("action=\"{action}\"")))
            .unwrap();
        let form = form.split("</form>").next().unwrap();
        let found: BTreeSet<&str> = values(form, "name").into_iter().collect();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), fields, "{name}");
    }
}

#[test]
fn a_form_that_came_back_says_so_in_its_title_and_keeps_no_password() {
    for (name, html) in everything() {
        let title = html.split("<title>").nth(1).unwrap();
        assert_eq!(title.starts_with("Error: "), html.contains("id=\"summary\""), "{name}");
        for tag in tags(&html).into_iter().filter(|tag| tag.contains("type=\"password\"")) {
            assert!(!tag.contains(" value="), "{name}: {tag}");
        }
    }
}

#[test]
fn dump_the_pages_to_look_at() {
    // PERENNIAL_DUMP_PAGES=folder cargo test --lib web::views; then serve that folder.
    let Some(folder) = std::env::var_os("PERENNIAL_DUMP_PAGES").map(std::path::PathBuf::from)
    else {
        return;
    };
    std::fs::create_dir_all(folder.join("static")).unwrap();
    for asset in assets::all() {
        std::fs::write(folder.join(&asset.path), asset.bytes).unwrap();
    }
    for (name, html) in samples(Fill::Usual) {
        std::fs::write(folder.join(format!("{name}.html")), html).unwrap();
    }
}
