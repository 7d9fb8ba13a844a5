"""A shop in one file: it takes an order, cannot have it paid, and undoes what it did."""

import json
import os
import time
from uuid import uuid4

from confluent_kafka import Producer

ORDER, PAYMENT = f"o-{uuid4().hex[:8]}", f"p-{uuid4().hex[:8]}"
STEPS = (
    ("orders", "OrderCreated"),
    ("inventory", "InventoryReserved"),
    ("payments", "PayOrder"),
    ("payments", "PayOrder"),  # the same message again, as after a lost acknowledgement
    ("payments", "PaymentFailed"),
    ("inventory", "InventoryReleased"),
    ("orders", "OrderCancelled"),
)

producer = Producer({"bootstrap.servers": os.environ["ASSAY_BROKER"]})
for topic, kind in STEPS:
    payload = {"type": kind, "order_id": ORDER, "payment_id": PAYMENT}
    producer.produce(topic, json.dumps(payload), key=ORDER, headers={"service": f"{topic} service"})
    producer.flush(10)
    time.sleep(0.02)  # what the service does
print(json.dumps({"order_id": ORDER}))
