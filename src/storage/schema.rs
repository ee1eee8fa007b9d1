//! The tables, as `migrations/` makes them: one schema for both databases.

#![allow(missing_docs, reason = "generated names; the columns are described in migrations/")]

diesel::table! {
    meta (name) {
        name -> Text,
        value -> Text,
    }
}

diesel::table! {
    token_keys (id) {
        id -> BigInt,
        sealed -> Binary,
        created_at -> BigInt,
        retired_at -> Nullable<BigInt>,
        due_at -> Nullable<BigInt>,
        current_since -> Nullable<BigInt>,
        compromised_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    signing_keys (kid) {
        kid -> Text,
        algorithm -> Text,
        sealed -> Binary,
        created_at -> BigInt,
        retired_at -> Nullable<BigInt>,
        due_at -> Nullable<BigInt>,
        current_since -> Nullable<BigInt>,
    }
}

diesel::table! {
    users (id) {
        id -> Binary,
        username -> Text,
        username_key -> Text,
        email -> Text,
        email_key -> Text,
        display_name -> Text,
        search_text -> Text,
        password_hash -> Text,
        password_changed_at -> BigInt,
        is_admin -> Bool,
        disabled_at -> Nullable<BigInt>,
        created_at -> BigInt,
        last_sign_in_at -> Nullable<BigInt>,
        profile -> Text,
        email_verified -> Bool,
        profile_updated_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    clients (id) {
        id -> Text,
        name -> Text,
        auth_method -> Text,
        secret_hash -> Nullable<Binary>,
        redirect_uris -> Text,
        post_logout_redirect_uris -> Text,
        grants -> Text,
        scope -> Text,
        access_token_format -> Text,
        rotation -> Text,
        retry_window_ms -> Nullable<BigInt>,
        refresh_policy -> Text,
        audience -> Text,
        may_introspect -> Bool,
        require_pkce -> Bool,
        skip_consent -> Bool,
        created_at -> BigInt,
        details -> Text,
        secret_sealed -> Nullable<Binary>,
        origin -> Text,
        reviewed_at -> Nullable<BigInt>,
        last_used_at -> Nullable<BigInt>,
        registration_token_hash -> Nullable<Binary>,
        fresh_until -> Nullable<BigInt>,
    }
}

diesel::table! {
    scopes (name) {
        name -> Text,
        description -> Text,
        risk -> Text,
    }
}

diesel::table! {
    consents (user_id, client_id) {
        user_id -> Binary,
        client_id -> Text,
        scope -> Text,
        granted_at -> BigInt,
        updated_at -> BigInt,
        claims -> Text,
    }
}

diesel::table! {
    browser_sessions (key_hash) {
        key_hash -> Binary,
        id -> Binary,
        user_id -> Binary,
        state -> Text,
        signed_in_at -> BigInt,
        last_seen_at -> BigInt,
        idle_ms -> BigInt,
        ends_at -> BigInt,
        ip -> Text,
        agent -> Text,
    }
}

diesel::table! {
    authorization_codes (hash) {
        hash -> Binary,
        client_id -> Text,
        user_id -> Binary,
        browser_session_id -> Nullable<Binary>,
        redirect_uri -> Text,
        redirect_uri_was_sent -> Bool,
        scope -> Text,
        challenge -> Nullable<Text>,
        auth_time -> BigInt,
        nonce -> Nullable<Text>,
        expires_at -> BigInt,
        used_at -> Nullable<BigInt>,
        family_id -> Nullable<Binary>,
        verifier_hash -> Nullable<Binary>,
        claims -> Nullable<Text>,
        resources -> Text,
    }
}

diesel::table! {
    token_families (id) {
        id -> Binary,
        nonce -> Binary,
        user_id -> Binary,
        client_id -> Text,
        scope -> Text,
        audience -> Text,
        browser_session_id -> Nullable<Binary>,
        created_at -> BigInt,
        auth_time -> BigInt,
        refreshable -> Bool,
        idle_ms -> BigInt,
        ends_at -> Nullable<BigInt>,
        generation -> BigInt,
        key_id -> BigInt,
        issued_at -> BigInt,
        given_at -> BigInt,
        given_to -> Binary,
        parent -> Nullable<BigInt>,
        parent_key_id -> Nullable<BigInt>,
        parent_given_at -> Nullable<BigInt>,
        known_callers -> Binary,
        written_at -> BigInt,
        row_version -> BigInt,
        caller_ip -> Text,
        caller_agent -> Text,
        alarm_at -> Nullable<BigInt>,
        ended_at -> Nullable<BigInt>,
        end_cause -> Nullable<Text>,
        ended_by -> Nullable<Text>,
        end_reason -> Nullable<Text>,
        history -> Text,
        alarm_read_at -> Nullable<BigInt>,
        alarm_read_by -> Nullable<Binary>,
        alarm_answer -> Nullable<Text>,
        alarm_answered_at -> Nullable<BigInt>,
        claims -> Nullable<Text>,
    }
}

diesel::table! {
    endings (id) {
        id -> Binary,
        client_id -> Nullable<Text>,
        plan -> Text,
        after_at -> BigInt,
        after_id -> Binary,
    }
}

diesel::table! {
    logout_deliveries (id) {
        id -> Binary,
        browser_session_id -> Binary,
        client_id -> Text,
        user_id -> Binary,
        by_browser -> Bool,
        since -> BigInt,
        due_at -> Nullable<BigInt>,
        attempts -> BigInt,
    }
}

diesel::table! {
    revoked_access_tokens (jti) {
        jti -> Text,
        expires_at -> BigInt,
    }
}

diesel::table! {
    assertion_jtis (hash) {
        hash -> Binary,
        expires_at -> BigInt,
    }
}

diesel::table! {
    pushed_requests (hash) {
        hash -> Binary,
        client_id -> Text,
        parameters -> Text,
        expires_at -> BigInt,
    }
}

diesel::table! {
    sign_in_failures (key) {
        key -> Binary,
        failures -> BigInt,
        since -> BigInt,
        paused_until -> BigInt,
    }
}

diesel::table! {
    audit_events (id) {
        id -> Binary,
        at -> BigInt,
        actor_kind -> Text,
        actor_id -> Nullable<Text>,
        action -> Text,
        target_kind -> Nullable<Text>,
        target_id -> Nullable<Text>,
        user_id -> Nullable<Binary>,
        client_id -> Nullable<Text>,
        ip -> Nullable<Text>,
        detail -> Nullable<Text>,
        reference -> Nullable<Text>,
    }
}

diesel::table! {
    registration_tokens (id) {
        id -> Text,
        hash -> Binary,
        name -> Text,
        created_at -> BigInt,
        uses_left -> Nullable<BigInt>,
        expires_at -> Nullable<BigInt>,
        last_used_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    allowances (key) {
        key -> Binary,
        whole_at -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    meta,
    token_keys,
    signing_keys,
    users,
    clients,
    scopes,
    consents,
    browser_sessions,
    authorization_codes,
    token_families,
    endings,
    logout_deliveries,
    revoked_access_tokens,
    assertion_jtis,
    pushed_requests,
    sign_in_failures,
    audit_events,
    registration_tokens,
    allowances
);
