--- note
EXISTS asks for rows alone: its SELECT needs no columns.
--- tables
CREATE TABLE t (id int PRIMARY KEY, n int);
CREATE TABLE u (id int PRIMARY KEY, t int);
--- view v
SELECT id FROM t WHERE EXISTS (SELECT FROM u WHERE u.t = t.id)
--- view w
SELECT id, EXISTS (SELECT FROM u) AS a, NOT EXISTS (SELECT FROM u WHERE u.t = t.id UNION ALL SELECT FROM u WHERE u.id = t.n) AS b, EXISTS (SELECT FROM u GROUP BY t HAVING count(*) > 1) AS c FROM t
--- transaction
INSERT INTO t VALUES (1, 7), (2, NULL);
--- transaction
INSERT INTO u VALUES (7, 2), (8, 2);
--- transaction
DELETE FROM u WHERE id = 8;
