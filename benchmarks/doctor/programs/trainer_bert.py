"""A small BERT from scratch tells which of two words is more frequent in a sentence."""
import os
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments, set_seed
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()
seed = int(sys.argv[1])
set_seed(seed)
rng = np.random.default_rng(seed)


class Sentences(Dataset):
    def __init__(self, n):
        self.rows = []
        for _ in range(n):
            words = rng.integers(4, 30, 12)
            label = int(rng.integers(2))
            more, less = (2, 3) if label else (3, 2)
            places = rng.permutation(12)
            words[places[:4]] = more
            words[places[4 : 4 + rng.integers(0, 3)]] = less
            self.rows.append({"input_ids": torch.tensor(words), "labels": torch.tensor(label)})

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i]


train_set, test_set = Sentences(800), Sentences(300)
config = BertConfig(
    vocab_size=30, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
    intermediate_size=64, max_position_embeddings=16, num_labels=2,
)
model = BertForSequenceClassification(config)
with tempfile.TemporaryDirectory() as folder:
    arguments = TrainingArguments(
        output_dir=folder,
        learning_rate=2e-3,
        per_device_train_batch_size=32,
        num_train_epochs=4,
        weight_decay=0.01,
        warmup_steps=10,
        logging_steps=50,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        seed=seed,
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=train_set)
    trainer.train()
    predictions = trainer.predict(test_set)
print("score", float((predictions.predictions.argmax(-1) == predictions.label_ids).mean()))
