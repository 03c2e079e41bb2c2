--- note
Whole numbers just below 2^53 were read one off: a digit was added before its character's 48 was taken away.
--- tables
CREATE TABLE t (id int PRIMARY KEY, n numeric);
--- view v
SELECT id, n + 0 AS same, n = 9007199254740983 AS is_it, n * 2 AS double FROM t
--- view w
SELECT sum(n) AS total, max(n) AS most FROM t
--- transaction
INSERT INTO t VALUES (1, 9007199254740983), (2, -9007199254740991), (3, 90071992547409.81), (4, 9007199254740992), (5, 0.9007199254740945);
