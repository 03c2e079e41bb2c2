--- note
Within a step a row of a group can be taken out before the one that it stands for comes in. With no rows in the meantime, the sum of
numerics forgot what it owed.
--- tables
CREATE TABLE t (id int PRIMARY KEY, c numeric(12,2), f float8, d int NOT NULL);
--- view v
SELECT a.d, sum(b.c) AS c, avg(b.c) AS average, sum(b.f) AS f FROM t a LEFT JOIN t b ON a.id = b.id GROUP BY a.d
--- transaction
INSERT INTO t VALUES (3, 2.00, 0.5, 1), (4, 7.00, 1.5, 1);
--- transaction
UPDATE t SET c = 1.00, f = 0.25, d = 3 WHERE id = 3;
--- transaction
DELETE FROM t WHERE id = 4;
