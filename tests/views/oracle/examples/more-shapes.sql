--- note
More shapes: subqueries in HAVING, in join conditions and in ORDER BY, VALUES as a view, DISTINCT ON expressions, NULLs on both sides.
--- tables
CREATE TABLE t (id int PRIMARY KEY, n int, s text, d numeric, at timestamptz);
CREATE TABLE u (id int PRIMARY KEY, t int, v numeric);
--- view a
VALUES (1, 'x'), (2, NULL), (1, 'x')
--- view b
SELECT n, count(*) AS c FROM t GROUP BY n HAVING count(*) > (SELECT count(*) FROM u WHERE u.t = t.n)
--- view c
SELECT t.id, u.id AS u FROM t CROSS JOIN (SELECT avg(v) AS m FROM u) a LEFT JOIN u ON u.t = t.id AND u.v > a.m
--- view d
SELECT id FROM t ORDER BY (SELECT count(*) FROM u WHERE u.t = t.id) DESC, id LIMIT 2
--- view e
SELECT DISTINCT ON (lower(s)) lower(s) AS k, id, d FROM t ORDER BY lower(s) NULLS FIRST, d DESC NULLS LAST, id
--- view f
SELECT t.id FROM t WHERE t.n NOT IN (SELECT u.t FROM u)
--- view g
SELECT t.id FROM t WHERE (t.n, t.s) IN (SELECT t2.n, t2.s FROM t t2 WHERE t2.id <> t.id)
--- view h
SELECT t.id, t.n IN (SELECT u.t FROM u) AS among, t.n NOT IN (SELECT u.t FROM u WHERE u.v > 1) AS not_among, EXISTS (SELECT 1 FROM u WHERE u.t = t.n) AS found FROM t
--- view i
SELECT date_trunc('month', at) AS m, count(DISTINCT n) FILTER (WHERE d > 0) AS c, min(at) AS first, max(s) AS s FROM t GROUP BY 1 ORDER BY 1
--- view j
SELECT s, json_object_agg(id, json_build_object('d', d, 'us', (SELECT json_agg(u.v ORDER BY u.id) FROM u WHERE u.t = t.id)) ORDER BY id) AS doc FROM t GROUP BY s
--- view k
SELECT 1 AS one FROM u HAVING sum(v) IS NULL
--- view l
SELECT x.id, x.c FROM (SELECT t.id, count(u.id) AS c FROM t LEFT JOIN u ON u.t = t.id GROUP BY t.id) x WHERE x.c = (SELECT max(c) FROM (SELECT count(u.id) AS c FROM t LEFT JOIN u ON u.t = t.id GROUP BY t.id) y)
--- view m
SELECT t.s, u.v FROM t FULL JOIN u ON t.id = u.t WHERE t.id IS NULL OR u.id IS NULL
--- view n
SELECT g, count(t.id) AS c FROM generate_series(0, 3) g LEFT JOIN t ON t.n = g GROUP BY g
--- view o
SELECT t.id, (SELECT u.v FROM u WHERE u.id = t.id) AS v, CASE WHEN t.n > 0 THEN 10 / t.n END AS q FROM t
--- view p
SELECT id FROM t EXCEPT ALL (SELECT t FROM u UNION ALL SELECT t FROM u) INTERSECT ALL SELECT n FROM t
--- transaction
INSERT INTO t VALUES (0, 0, 'A', 1.0, '2024-01-31 23:59:59+00'), (1, 1, 'a', 1.00, '2024-02-01'), (2, 1, NULL, NULL, NULL), (3, NULL, 'b', -7, '2024-02-03');
--- transaction
INSERT INTO u VALUES (1, 1, 10), (2, 1, 20.5), (3, 2, NULL), (4, NULL, 3), (5, 5, 0.5);
--- transaction
DELETE FROM u WHERE t IS NULL;
--- transaction
UPDATE t SET n = n + 1, s = upper(s); UPDATE u SET v = coalesce(v, 0) * 2;
--- transaction
UPDATE u SET t = 3 WHERE id = 1; INSERT INTO t VALUES (5, 5, 'b', 2, '2024-01-01');
--- transaction
DELETE FROM t WHERE id < 3;
--- transaction
DELETE FROM u;
--- transaction
DELETE FROM t;
