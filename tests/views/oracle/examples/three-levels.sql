--- note
Documents three levels deep. A child moves between parents, a parent's children change all at once, and each document comes once a step.
--- tables
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int NOT NULL, status text NOT NULL);
CREATE TABLE lines (order_id int, no int, sku text NOT NULL, qty int NOT NULL, PRIMARY KEY (order_id, no));
--- view documents key id
SELECT c.id, c.name, coalesce(json_agg(o.document ORDER BY o.id) FILTER (WHERE o.id IS NOT NULL), '[]') AS orders
FROM customers c LEFT JOIN (
  SELECT o.id, o.customer_id, json_build_object('id', o.id, 'status', o.status, 'lines',
    coalesce(json_agg(json_build_object('no', l.no, 'sku', l.sku, 'qty', l.qty) ORDER BY l.no) FILTER (WHERE l.no IS NOT NULL), '[]')) AS document
  FROM orders o LEFT JOIN lines l ON l.order_id = o.id GROUP BY o.id, o.customer_id, o.status) o ON o.customer_id = c.id
GROUP BY c.id, c.name
--- transaction
INSERT INTO customers VALUES (1, 'Ada'), (2, 'Grace'); INSERT INTO orders VALUES (10, 1, 'open'), (11, 2, 'open');
INSERT INTO lines SELECT 10, n, 'sku' || n, n FROM generate_series(1, 50) n;
--- transaction
UPDATE lines SET qty = qty + 1 WHERE order_id = 10;
--- transaction
UPDATE orders SET customer_id = 2 WHERE id = 10;
--- transaction
UPDATE lines SET order_id = 11 WHERE no > 48;
--- transaction
DELETE FROM lines; DELETE FROM orders WHERE id = 10;
