-- One database and one owner per service, and the analysts' read-only login; may run again.
-- Passwords come from the mounted secrets.
\set ON_ERROR_STOP on
\set orders_password `cat /run/secrets/orders_database_password`
\set inventory_password `cat /run/secrets/inventory_database_password`
\set crm_password `cat /run/secrets/crm_database_password`
\set aftersales_password `cat /run/secrets/aftersales_database_password`
\set analytics_password `cat /run/secrets/analytics_database_password`
\set crm_keys_password `cat /run/secrets/crm_keys_database_password`
\set aftersales_keys_password `cat /run/secrets/aftersales_keys_database_password`
\set reporting_password `cat /run/secrets/reporting_database_password`

SELECT format('CREATE ROLE %I LOGIN', name)
FROM unnest(ARRAY['orders', 'inventory', 'crm', 'crm_keys', 'aftersales', 'aftersales_keys',
                  'analytics', 'reporting']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

ALTER ROLE orders PASSWORD :'orders_password';
ALTER ROLE inventory PASSWORD :'inventory_password';
ALTER ROLE crm PASSWORD :'crm_password';
ALTER ROLE aftersales PASSWORD :'aftersales_password';
ALTER ROLE analytics PASSWORD :'analytics_password';
ALTER ROLE crm_keys PASSWORD :'crm_keys_password';
ALTER ROLE aftersales_keys PASSWORD :'aftersales_keys_password';
ALTER ROLE reporting PASSWORD :'reporting_password';

SELECT format('CREATE DATABASE %I OWNER %I', name, name)
FROM unnest(ARRAY['orders', 'inventory', 'crm', 'crm_keys', 'aftersales', 'aftersales_keys',
                  'analytics']) AS name
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name) \gexec

SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', name)
FROM unnest(ARRAY['orders', 'inventory', 'crm', 'crm_keys', 'aftersales', 'aftersales_keys',
                  'analytics']) AS name \gexec

GRANT CONNECT ON DATABASE analytics TO reporting;
ALTER ROLE reporting SET default_transaction_read_only = on;
ALTER ROLE reporting SET statement_timeout = '30s';
ALTER ROLE reporting SET search_path = reporting;
