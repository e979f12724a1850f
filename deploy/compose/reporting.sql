-- The analysts' login, which only reads the reports, and not for long; may run again.
\set ON_ERROR_STOP on
\set password `cat /run/secrets/reporting.password`

SELECT 'CREATE ROLE reporting LOGIN'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'reporting') \gexec

ALTER ROLE reporting PASSWORD :'password';
ALTER ROLE reporting SET default_transaction_read_only = on;
ALTER ROLE reporting SET statement_timeout = '30s';
ALTER ROLE reporting SET search_path = reporting;
GRANT CONNECT ON DATABASE analytics TO reporting;
