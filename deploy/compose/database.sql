-- One database: the role `name` owns it and makes its tables, `name_app` runs on it. May run again.
-- Passwords come from the mounted secrets.
\set ON_ERROR_STOP on
\set app :name _app
\set owner_password `cat /run/secrets/:name.password`
\set app_password `cat /run/secrets/:app.password`

SELECT format('CREATE ROLE %I LOGIN', name) FROM unnest(ARRAY[:'name', :'app']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

ALTER ROLE :"name" PASSWORD :'owner_password';
ALTER ROLE :"app" PASSWORD :'app_password';

SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'name')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec

REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"name" TO :"app";
