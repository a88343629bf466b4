-- Ledgerline, tables and the queries that deserve a name

-- one row per request that a client may repeat; the primary key does the work
CREATE TABLE idempotency_keys (
    account_id   uuid        NOT NULL,
    key          text        NOT NULL,
    request_hash bytea       NOT NULL,
    status_code  int,
    response     jsonb,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, key)
);

CREATE TABLE invoice_counters (
    account_id  uuid NOT NULL,
    year        int  NOT NULL,
    last_number int  NOT NULL,
    PRIMARY KEY (account_id, year)
);

CREATE TABLE accounts (
    id        uuid PRIMARY KEY,
    email     text NOT NULL,
    time_zone text NOT NULL DEFAULT 'Europe/Paris',
    nickname  text
);
CREATE UNIQUE INDEX CONCURRENTLY accounts_email_lower ON accounts (lower(email));

CREATE TABLE outbox (
    id           bigserial PRIMARY KEY,
    topic        text  NOT NULL,
    payload      jsonb NOT NULL,
    published_at timestamptz
);

CREATE INDEX CONCURRENTLY invoices_by_age ON invoices (account_id, created_at DESC, id DESC);

-- take one job; workers pass over those that others are taking
UPDATE jobs
SET state = 'running', started_at = now(), attempts = attempts + 1
WHERE id = (
    SELECT id FROM jobs
    WHERE state = 'queued' AND run_after <= now()
    ORDER BY run_after
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING id, kind, payload;

-- chiffre d'affaires cumulé et part de chaque mois
SELECT
    month,
    revenue,
    sum(revenue) OVER (ORDER BY month) AS running_total,
    round(100.0 * revenue / sum(revenue) OVER (), 1) AS share_percent
FROM monthly_revenue
ORDER BY month;

-- latest invoice of each customer
SELECT DISTINCT ON (account_id) account_id, id, total, created_at
FROM invoices
ORDER BY account_id, created_at DESC, id DESC;

-- a tag's id, whether it is new or not
WITH inserted AS (
    INSERT INTO tags (name) VALUES ($1)
    ON CONFLICT (name) DO NOTHING
    RETURNING id
)
SELECT id FROM inserted
UNION ALL
SELECT id FROM tags WHERE name = $1
LIMIT 1;

-- who is late, by the customer's own calendar
SELECT i.id
FROM invoices AS i
JOIN accounts AS a ON a.id = i.account_id
WHERE i.paid_at IS NULL
  AND i.due_on < (now() AT TIME ZONE a.time_zone)::date;

-- qui tient le verrou de migration ?
SELECT a.pid, a.state, a.query_start
FROM pg_locks AS l
JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted;

CREATE TABLE postcodes (
    code     text PRIMARY KEY,
    district text NOT NULL
);
