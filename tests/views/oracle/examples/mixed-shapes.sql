--- note
Shapes of queries that random ones seldom have, through key changes and the emptying of tables.
--- tables
CREATE TABLE t (id int PRIMARY KEY, n int, s text, d numeric, f float8);
CREATE TABLE u (id int PRIMARY KEY, t int, v numeric);
--- view a
SELECT x.r FROM (SELECT t AS r FROM t) x
--- view b
SELECT t.id, (SELECT ROW(u.id, u.v) FROM u WHERE u.t = t.id ORDER BY u.id LIMIT 1)::text AS r FROM t
--- view c
SELECT n, array_agg(DISTINCT s ORDER BY s DESC) AS a, sum(DISTINCT d) AS sd, count(*) FILTER (WHERE d > 1) AS c, string_agg(DISTINCT s, '|' ORDER BY s) AS sa FROM t GROUP BY n
--- view d
SELECT t.id, (SELECT count(*) FROM u WHERE u.t = t.id AND u.v > (SELECT avg(v) FROM u u2 WHERE u2.t = t.n)) AS c FROM t
--- view e
SELECT * FROM t NATURAL FULL JOIN (SELECT id, v FROM u) u2 ORDER BY id LIMIT 3 OFFSET 1
--- view f
SELECT coalesce(a.n, b.n) AS n, a.c, b.c AS d FROM (SELECT n, count(*) c FROM t GROUP BY n) a FULL JOIN (SELECT t AS n, count(*) c FROM u GROUP BY t) b USING (n)
--- view g
WITH x AS (SELECT n, sum(d) AS s FROM t GROUP BY n), y AS (SELECT max(s) AS m FROM x) SELECT x.n, x.s, y.m FROM x, y WHERE x.s = y.m
--- view h
SELECT t.id, l.k FROM t LEFT JOIN LATERAL (SELECT u.id AS k FROM u WHERE u.t = t.id AND EXISTS (SELECT 1 FROM t t2 WHERE t2.n = u.id AND t2.id <> t.id) ORDER BY u.v DESC NULLS LAST, u.id LIMIT 1) l ON true
--- view i
SELECT s, f, -f AS nf, f / 3 AS third, d::text, d * 1.10 AS p, round(d, 1) AS r FROM t
--- view j
(SELECT n FROM t UNION SELECT t FROM u) EXCEPT SELECT id FROM u ORDER BY n LIMIT 2
--- view k
SELECT count(*) AS n, (SELECT max(v) FROM u) AS m FROM t HAVING count(*) > 0
--- transaction
INSERT INTO t VALUES (1, 1, 'a', 1.50, 0.1), (2, 1, 'b', 2.0, -0.0), (3, 2, 'a', NULL, 1e300), (4, NULL, 'c', 7, 'NaN');
--- transaction
INSERT INTO u VALUES (1, 1, 10), (2, 1, 20.5), (3, 2, NULL), (5, 4, 1);
--- transaction
UPDATE t SET n = 2 WHERE id = 1; DELETE FROM u WHERE id = 2;
--- transaction
UPDATE t SET id = id + 10; UPDATE u SET t = t + 10;
--- transaction
DELETE FROM t WHERE n = 2;
--- transaction
DELETE FROM t; DELETE FROM u;
