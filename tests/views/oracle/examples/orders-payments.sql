--- note
Orders with what was paid for them, the unpaid ones too; payments come before their order, in parts, and are taken back.
--- tables
CREATE TABLE orders (id int PRIMARY KEY, customer text NOT NULL, amount numeric(10,2) NOT NULL);
CREATE TABLE payments (id int PRIMARY KEY, order_id int NOT NULL, amount numeric(10,2) NOT NULL);
--- view balances key id
SELECT o.id, o.customer, o.amount, coalesce(sum(p.amount), 0) AS paid, o.amount - coalesce(sum(p.amount), 0) AS due,
  CASE WHEN count(p.id) = 0 THEN 'unpaid' WHEN sum(p.amount) < o.amount THEN 'partly' ELSE 'paid' END AS state
FROM orders o LEFT JOIN payments p ON p.order_id = o.id GROUP BY o.id, o.customer, o.amount
--- view unpaid key id
SELECT o.id, o.customer FROM orders o WHERE NOT EXISTS (SELECT 1 FROM payments p WHERE p.order_id = o.id)
--- view strays key id
SELECT p.id, p.amount FROM payments p WHERE p.order_id NOT IN (SELECT id FROM orders)
--- view open_by_customer key customer
SELECT customer, sum(due) AS due, string_agg(id::text, ', ' ORDER BY id) AS orders FROM balances WHERE due > 0 GROUP BY customer
--- transaction
INSERT INTO orders VALUES (1, 'Ada', 20.00), (2, 'Ada', 5.50), (3, 'Grace', 7.25);
--- transaction
INSERT INTO payments VALUES (10, 1, 8.00), (11, 4, 3.00);
--- transaction
INSERT INTO payments VALUES (12, 1, 12.00); INSERT INTO orders VALUES (4, 'Grace', 3.00);
--- transaction
UPDATE payments SET order_id = 2 WHERE id = 12;
--- transaction
DELETE FROM payments WHERE id = 10;
--- transaction
DELETE FROM orders WHERE id = 4;
--- transaction
UPDATE orders SET amount = 0 WHERE id = 3;
