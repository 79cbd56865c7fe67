_base_ = './sgd_150e.py'
total_epochs = 50
