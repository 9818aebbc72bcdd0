// Announces Azure ML's label exports to the console, so that `labelbridge policy --auto-sync on_export` hears of them.
// Protected with Microsoft Entra: no key is written anywhere.
param location string
param accountName string
param containerName string
param existingSystemTopic string
param endpoint string
param clientId string

var newTopic = empty(existingSystemTopic)
var topicName = newTopic ? 'labelbridge-exports' : existingSystemTopic

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: accountName
}

resource made 'Microsoft.EventGrid/systemTopics@2022-06-15' = if (newTopic) {
  name: topicName
  location: location
  properties: {
    source: account.id
    topicType: 'Microsoft.Storage.StorageAccounts'
  }
}

resource topic 'Microsoft.EventGrid/systemTopics@2022-06-15' existing = {
  name: topicName
}

resource exports 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2022-06-15' = {
  parent: topic
  name: 'labelbridge-exports'
  properties: {
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    destination: {
      endpointType: 'WebHook'
      properties: {
        endpointUrl: endpoint
        azureActiveDirectoryTenantId: tenant().tenantId
        azureActiveDirectoryApplicationIdOrUri: clientId
        maxEventsPerBatch: 1
      }
    }
    filter: {
      includedEventTypes: [
        'Microsoft.Storage.BlobCreated'
      ]
      subjectBeginsWith: '/blobServices/default/containers/${containerName}/blobs/Labeling/export'
    }
    retryPolicy: {
      maxDeliveryAttempts: 30
      eventTimeToLiveInMinutes: 1440
    }
  }
  dependsOn: [
    made
  ]
}
