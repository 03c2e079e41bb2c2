--- note
A stream and a table: what users did, with the profile that they have now. Activities are only inserted.
--- tables
CREATE TABLE profiles (user_id int PRIMARY KEY, name text NOT NULL, country text);
CREATE TABLE activities (id bigint PRIMARY KEY, user_id int NOT NULL, what text NOT NULL, at timestamptz NOT NULL);
--- view enriched key id
SELECT a.id, a.what, a.at, p.name, p.country FROM activities a LEFT JOIN profiles p ON p.user_id = a.user_id
--- view known key id
SELECT a.id, a.what, p.name FROM activities a JOIN profiles p ON p.user_id = a.user_id
--- view by_country key country
SELECT coalesce(p.country, '?') AS country, count(*) AS activities, max(a.at) AS newest
FROM activities a LEFT JOIN profiles p ON p.user_id = a.user_id GROUP BY coalesce(p.country, '?')
--- transaction
INSERT INTO activities VALUES (1, 7, 'signed up', '2024-05-01 10:00:00+00');
--- transaction
INSERT INTO profiles VALUES (7, 'Ada', 'UK');
--- transaction
INSERT INTO activities VALUES (2, 7, 'bought', '2024-05-01 10:05:00+00'), (3, 8, 'looked', '2024-05-01 10:06:00+00');
--- transaction
UPDATE profiles SET country = 'FR' WHERE user_id = 7;
--- transaction
DELETE FROM profiles;
--- transaction
INSERT INTO profiles VALUES (7, 'Ada', 'UK'), (8, 'Grace', NULL);
